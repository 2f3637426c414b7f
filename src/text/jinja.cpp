#include "text/jinja.h"

#include "base/error.h"

#ifdef TWOFOLD_CHAT

#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#endif

namespace twofold {

#ifdef TWOFOLD_CHAT

namespace {

constexpr std::size_t kMaxSource = std::size_t{1} << 20;
constexpr std::size_t kMaxOutput = std::size_t{16} << 20;
constexpr rlim_t kCpuSeconds = 10;
constexpr rlim_t kMoreMemory = rlim_t{1} << 30;  // above what the process has already

#if defined(__SANITIZE_ADDRESS__) || defined(TWOFOLD_ADDRESS_SANITIZER)
constexpr bool kAddressSanitizer = true;  // its shadow memory counts too
#else
constexpr bool kAddressSanitizer = false;
#endif

jinja::value to_value(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return jinja::mk_val<jinja::value_bool>(json.get<bool>());
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return jinja::mk_val<jinja::value_int>(json.get<std::int64_t>());
    case Json::value_t::number_float:
      return jinja::mk_val<jinja::value_float>(json.get<double>());
    case Json::value_t::string:
      return jinja::mk_val<jinja::value_string>(json.get<std::string>());
    case Json::value_t::array: {
      auto array = jinja::mk_val<jinja::value_array>();
      for (const Json& item : json) array->push_back(to_value(item));
      return array;
    }
    case Json::value_t::object: {
      auto object = jinja::mk_val<jinja::value_object>();
      for (const auto& [key, item] : json.items()) object->insert(key, to_value(item));
      return object;
    }
    default:
      return jinja::mk_val<jinja::value_none>();
  }
}

std::string render(std::string_view source, const Json& variables, std::time_t now) {
  jinja::lexer lexer;
  const jinja::lexer_result tokens = lexer.tokenize(std::string(source));
  const jinja::program program = jinja::parse_from_tokens(tokens);
  jinja::context context(tokens.source);
  context.current_time = now;
  for (const auto& [name, value] : variables.items()) context.set_val(name, to_value(value));
  jinja::runtime runtime(context);
  return jinja::runtime::gather_string_parts(runtime.execute(program))->as_string().str();
}

/// The engine's messages are pages with excerpts of the template: their last line says what is wrong.
std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '^' || text.back() == ' ')) text.pop_back();
  const std::size_t line = text.rfind('\n');
  if (line != std::string::npos) text.erase(0, line + 1);
  for (const std::string_view head : {"Error: ", "Jinja Exception: "}) {
    if (text.starts_with(head)) text.erase(0, head.size());
  }
  return text;
}

/// Pages of the process that count for RLIMIT_DATA, in bytes; 0 when the system does not tell.
rlim_t data_bytes() {
  unsigned long sizes[6] = {};
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  const int found = std::fscanf(file, "%lu %lu %lu %lu %lu %lu", &sizes[0], &sizes[1], &sizes[2], &sizes[3],
                                &sizes[4], &sizes[5]);
  std::fclose(file);
  return found == 6 ? sizes[5] * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) : 0;
}

void set_limits() {
  const rlimit cpu = {kCpuSeconds, kCpuSeconds};
  setrlimit(RLIMIT_CPU, &cpu);
  const rlimit core = {0, 0};
  setrlimit(RLIMIT_CORE, &core);
  const rlim_t used = data_bytes();
  if (kAddressSanitizer || used == 0) return;
  const rlimit data = {used + kMoreMemory, used + kMoreMemory};
  setrlimit(RLIMIT_DATA, &data);
}

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// Does not return. The first byte says how it went: '+' before the text, '-' before a message.
[[noreturn]] void child(int descriptor, std::string_view source, const Json& variables, std::time_t now) {
  signal(SIGINT, SIG_IGN);  // meant for the parent, which waits
  set_limits();
  std::string result;
  try {
    result = "+" + render(source, variables, now);
    if (result.size() > kMaxOutput) result = fmt::format("-makes more than {} bytes of text", kMaxOutput);
  } catch (const std::bad_alloc&) {
    result = "-needs too much memory";
  } catch (const std::exception& error) {
    result = "-" + last_line(error.what());
  } catch (...) {  // a break outside of a loop
    result = "-statement out of place";
  }
  write_all(descriptor, result);
  _exit(0);
}

std::string read_all(int descriptor) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t count = read(descriptor, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace

std::string render_jinja(std::string_view source, const Json& variables, std::time_t now,
                         std::string_view where) {
  if (source.size() > kMaxSource) {
    fail("{}: the chat template has {} bytes, expected at most {}", where, source.size(), kMaxSource);
  }
  int ends[2];
  if (pipe(ends) != 0) fail("{}: cannot make a pipe to render the chat template", where);
  const pid_t pid = fork();
  if (pid < 0) {
    close(ends[0]);
    close(ends[1]);
    fail("{}: cannot start a process to render the chat template", where);
  }
  if (pid == 0) {
    close(ends[0]);
    child(ends[1], source, variables, now);
  }
  close(ends[1]);
  const std::string result = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  const bool ended = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !result.empty();
  if (!ended && WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL)) {
    fail("{}: the chat template does not come to an end in {} s", where, kCpuSeconds);
  }
  if (!ended) fail("{}: the chat template nests too deep or is broken", where);
  if (result.front() == '-') fail("{}: chat template: {}", where, json_quote(result.substr(1)));
  return result.substr(1);
}

#else

std::string render_jinja(std::string_view, const Json&, std::time_t, std::string_view where) {
  fail("{}: this program was built without chat templates (TWOFOLD_CHAT=OFF)", where);
}

#endif

}  // namespace twofold
