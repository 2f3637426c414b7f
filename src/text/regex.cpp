#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include <pcre2.h>

#include <array>
#include <new>

#include "base/error.h"
#include "text/component.h"
#include "text/unicode.h"

namespace twofold {

namespace {

// Real expressions have some hundred bytes. PCRE2 needs memory and time in proportion, and for nesting some
// stack.
constexpr std::size_t kMaxExpressionBytes = 16384;
constexpr std::uint32_t kMaxNesting = 100;
// Backtracking: the expressions of tokenizers go back over a run of characters at most, whose length is that
// of the text. The memory for it grows only where groups repeat.
constexpr std::uint32_t kMinSteps = 1U << 20;
constexpr std::uint32_t kMaxSteps = 1U << 30;
constexpr std::size_t kJitStackStart = std::size_t{32} << 10;
constexpr std::size_t kJitStackMax = std::size_t{64} << 20;

struct FreeContext {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreeContext>;

std::string message_of(int code) {
  std::array<unsigned char, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

PCRE2_SPTR units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

template <typename T>
Owned<T> owned(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return Owned<T>(pointer);
}

}  // namespace

void Regex::Free::operator()(pcre2_real_code_8* code) const {
  pcre2_code_free(code);
}

Regex::Regex(std::string_view expression, const std::string& where) : where_(where), expression_(expression) {
  if (expression.size() > kMaxExpressionBytes) {
    fail("{}: regular expression: expected at most {} bytes, found {}", where, kMaxExpressionBytes,
         expression.size());
  }
  const std::string pattern = pcre2_syntax(expression, where);
  const auto context = owned(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), kMaxNesting);
  int error = 0;
  PCRE2_SIZE at = 0;
  // Ruby's ^ and $ match at every line. \C would match half a character.
  code_.reset(pcre2_compile(units(pattern), pattern.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &at,
                            context.get()));
  if (!code_) fail("{}: regular expression {}: {}", where, quote(expression), message_of(error));
  // Without machine code (a system may forbid making it) the interpreter matches the same.
  pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);
  std::uint32_t min_characters = 0;
  pcre2_pattern_info(code_.get(), PCRE2_INFO_MINLENGTH, &min_characters);
  min_bytes_ = min_characters;
}

void Regex::for_each(std::string_view text,
                     const std::function<void(std::size_t begin, std::size_t end)>& visit) const {
  const auto data = owned(pcre2_match_data_create(1, nullptr));
  const auto context = owned(pcre2_match_context_create(nullptr));
  Owned<pcre2_jit_stack> stack;
  const std::size_t steps = std::min<std::size_t>(kMinSteps + 16 * text.size(), kMaxSteps);
  pcre2_set_match_limit(context.get(), static_cast<std::uint32_t>(steps));
  pcre2_set_heap_limit(context.get(), static_cast<std::uint32_t>(kJitStackMax >> 10));  // of the interpreter
  const PCRE2_SIZE* const match = pcre2_get_ovector_pointer(data.get());
  std::size_t last_end = text.size() + 1;  // of the last match; at first none
  std::size_t from = 0;
  while (from <= text.size()) {
    int result = pcre2_match(code_.get(), units(text), text.size(), from, PCRE2_NO_UTF_CHECK, data.get(),
                             context.get());
    if (result == PCRE2_ERROR_JIT_STACKLIMIT && !stack) {
      stack = owned(pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr));
      pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
      continue;
    }
    if (result == PCRE2_ERROR_NOMATCH) return;
    if (result < 0) {
      fail("{}: regular expression {}: cannot be matched in a text of {} bytes: {}", where_,
           quote(expression_), text.size(), message_of(result));
    }
    const std::size_t begin = match[0];
    const std::size_t end = match[1];
    if (begin < from || begin > end || end > text.size()) {  // \K within an assertion
      fail("{}: regular expression {}: matches that overlap", where_, quote(expression_));
    }
    if (begin == end && end == last_end) {
      if (from == text.size()) return;
      next_code_point(text, from);
      continue;
    }
    visit(begin, end);
    from = last_end = end;
  }
}

}  // namespace twofold
