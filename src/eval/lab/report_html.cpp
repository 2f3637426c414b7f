#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/progress.h"
#include "eval/lab/report.h"
#include "eval/lab/svg_plot.h"

namespace twofold {

namespace {

constexpr const char* kStyle = R"(
:root{--ink:#1c2330;--soft:#5b6575;--line:#d9dee6;--page:#fff;--c0:#2f63c0;--c1:#c8571b;--c2:#2c8a57;--c3:#8348b5;--c4:#b02c5e;--c5:#5d6b7c;--c6:#927400;--c7:#0b8593}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#a2adbb;--line:#39424f;--page:#14181f;--c0:#7da7f5;--c1:#f0915a;--c2:#66c793;--c3:#bd8fe8;--c4:#ee7ba6;--c5:#a4b1c1;--c6:#d8b83f;--c7:#4fc4d1}}
@media print{:root{--ink:#000;--soft:#333;--line:#bbb;--page:#fff;--c0:#2f63c0;--c1:#c8571b;--c2:#2c8a57;--c3:#8348b5;--c4:#b02c5e;--c5:#5d6b7c;--c6:#927400;--c7:#0b8593}section,figure,tr{break-inside:avoid}.wide{overflow:visible!important}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:70rem;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .3rem;border-top:1px solid var(--line);padding-top:1rem}
p{margin:.3rem 0 .8rem;color:var(--soft);max-width:45rem}
.wide{overflow-x:auto;margin:.5rem 0 1rem}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--soft)}th:first-child,td:first-child{text-align:left;padding-left:0}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1rem}
figure{margin:0;max-width:34rem}figcaption{font-weight:600;font-size:.95rem}
svg{width:100%;height:auto;display:block}.legend svg{width:22px;display:inline-block;vertical-align:middle;margin-right:.3rem}
.legend{list-style:none;padding:0;margin:.2rem 0;display:flex;flex-wrap:wrap;gap:.1rem .9rem;font-size:.85rem}
.grid{stroke:var(--line)}.axis{stroke:var(--soft)}.tick,.name{font-size:13px;fill:var(--soft)}.name{fill:var(--ink)}
)";

using Getter = std::function<double(const Json&)>;
using Series = std::function<std::string(const Json&)>;

double value(const Json& point, const char* key) {
  return point.contains(key) && point.at(key).is_number() ? point.at(key).get<double>() : std::nan("");
}

Getter from(const char* key) {
  return [key](const Json& point) { return value(point, key); };
}

Getter from_recipe(const char* key) {
  return [key](const Json& point) { return value(point.at("recipe"), key); };
}

std::string show(double number, int digits) {
  return std::isfinite(number) ? fmt::format("{:.{}f}", number, digits) : "";
}

std::string with_error(double number, double error, int digits) {
  return show(number, digits) + (std::isfinite(error) ? fmt::format(" ± {:.{}f}", error, digits) : "");
}

std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::string html = "<div class='wide'><table><thead><tr>";
  for (const std::string& cell : header) html += "<th>" + html_escape(cell) + "</th>";
  html += "</tr></thead><tbody>";
  for (const auto& row : rows) {
    html += "<tr>";
    for (const std::string& cell : row) html += "<td>" + html_escape(cell) + "</td>";
    html += "</tr>";
  }
  return html + "</tbody></table></div>\n";
}

/// The figure of a task that is shown.
const char* metric_of(const Json& task) {
  return task.contains("acc_norm") ? "acc_norm" : task.contains("acc") ? "acc" : "contains";
}

std::string point_table(const Json& original, const Json& points) {
  std::vector<std::string> header = {"",           "bits/weight", "CR",     "directory",
                                     "perplexity", "KL, nats",    "top-1 %"};
  for (const auto& [name, task] : original.at("tasks").items())
    header.push_back(name + " " + metric_of(task));
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const std::string& label, const Json& point) {
    std::vector<std::string> row = {
        label,
        show(value(point, "bits_per_weight"), 3),
        show(value(point, "cr"), 3),
        format_bytes(static_cast<std::uint64_t>(
            value(point, point.contains("stored_bytes") ? "stored_bytes" : "bytes"))),
        with_error(value(point, "perplexity"), value(point, "perplexity_error"), 2),
        with_error(value(point, "kl"), value(point, "kl_error"), 5),
        show(100 * value(point, "top1"), 2)};
    for (const auto& [name, task] : original.at("tasks").items()) {
      const char* metric = metric_of(task);
      const Json& own = point.at("tasks").at(name);
      row.push_back(with_error(value(own, metric), value(own, fmt::format("{}_error", metric).c_str()), 4));
    }
    rows.push_back(std::move(row));
  };
  add("original", original);
  for (const Json& point : points) add(point.at("label").get<std::string>(), point);
  return table(header, rows);
}

/// Series by a text, in the order in which they come.
Plot make_plot(const Json& points, std::string title, std::string x_label, const Getter& x,
               std::string y_label, const Getter& y, const Getter& error, bool log_y, const Series& series) {
  Plot plot{std::move(title), std::move(x_label), std::move(y_label), log_y, {}};
  for (const Json& point : points) {
    const std::string name = series ? series(point) : "";
    auto it = std::find_if(plot.series.begin(), plot.series.end(),
                           [&](const PlotSeries& s) { return s.name == name; });
    if (it == plot.series.end()) it = plot.series.insert(plot.series.end(), PlotSeries{name, {}, true, true});
    const double e = error ? error(point) : 0.0;
    it->points.push_back(
        {x(point), y(point), std::isfinite(e) ? e : 0.0, point.at("label").get<std::string>()});
  }
  for (PlotSeries& s : plot.series) {
    std::stable_sort(s.points.begin(), s.points.end(),
                     [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
  }
  return plot;
}

/// Quality against x, and the score of each task.
std::string quality_plots(const Json& original, const Json& points, const std::string& against,
                          const std::string& x_label, const Getter& x, const Series& series = nullptr) {
  std::string html =
      plot_html(make_plot(points, "Divergence from the original against " + against, x_label, x,
                          "KL, nats per token", from("kl"), from("kl_error"), true, series));
  for (const auto& [name, task] : original.at("tasks").items()) {
    const std::string metric = metric_of(task);
    const auto get = [name = name](const std::string& key) {
      return [name, key](const Json& point) { return value(point.at("tasks").at(name), key.c_str()); };
    };
    html += plot_html(make_plot(points, fmt::format("{} against {}", name, against), x_label, x, metric,
                                get(metric), get(metric + "_error"), false, series));
  }
  return html;
}

/// Shares of the integers' values, the original's as plain INT8 beside those of a recipe.
std::string histogram_plot(const Json& original, const Json& point) {
  Plot plot{"Weights before and after: " + point.at("label").get<std::string>(),
            "integer",
            "share of the weights",
            true,
            {}};
  const auto add = [&](const std::string& name, const Json& counts) {
    double total = 0;
    for (const Json& count : counts) total += count.get<double>();
    PlotSeries series{name, {}, true, false};
    for (std::size_t i = 0; i < counts.size() && total > 0; ++i)
      series.points.push_back({static_cast<double>(i) - 127, counts[i].get<double>() / total, 0, ""});
    plot.series.push_back(std::move(series));
  };
  add("plain INT8", original.at("histogram"));
  add("after", point.at("histogram"));
  return plot_html(plot);
}

std::string layer_plot(const Json& point) {
  const auto kind = [](const Json& layer) { return layer.at("kind").get<std::string>(); };
  Json layers = Json::array();
  for (Json layer : point.at("layers")) {
    layer["label"] = kind(layer);
    layers.push_back(std::move(layer));
  }
  return plot_html(make_plot(layers, "CR of each layer: " + point.at("label").get<std::string>(), "layer",
                             from("layer"), "CR", from("cr"), nullptr, false, kind));
}

std::string coder_tables(const Json& points) {
  std::string html;
  for (const Json& point : points) {
    std::vector<std::vector<std::string>> rows;
    Plot plot{"CR of the codecs: " + point.at("label").get<std::string>(), "decode, GB/s", "CR", false, {}};
    for (const Json& coder : point.at("coders")) {
      const auto name = coder.at("codec").get<std::string>();
      rows.push_back({name, show(value(coder, "cr"), 3), show(value(coder, "bits_per_weight"), 3),
                      show(value(coder, "encode"), 3), show(value(coder, "decode"), 3),
                      show(value(coder, "decode_to_raw"), 3)});
      if (name != "raw")
        plot.series.push_back({name, {{value(coder, "decode"), value(coder, "cr"), 0, name}}, false, true});
    }
    html += fmt::format("<p>{}: order-0 entropy {:.3f} bits per weight, which is CR {:.3f}.</p>",
                        html_escape(point.at("label").get<std::string>()), value(point, "entropy"),
                        8 / value(point, "entropy"));
    html += table({"codec", "CR", "bits/weight", "encode GB/s", "decode GB/s", "decode to raw"}, rows);
    html += "<div class='plots'>" + plot_html(plot) + "</div>";
  }
  return html;
}

std::string joint_part(const Json& joint) {
  const auto describe = [](const Json& row) {
    return row.is_null() ? std::string("none")
                         : fmt::format("{} (KL {:.4f}, Sr {:.3f})", row.at("label").get<std::string>(),
                                       value(row, "kl"), value(row, "sr"));
  };
  std::string html = fmt::format(
      "<p>TCr = 1 − q/16·(1 − s). Sr is {}. SrCr, to be maximised along one curve: Sr·√s for pruning, "
      "Sr·log₂(16/q) for bit widths.</p>",
      joint.at("retention") == "tasks" ? "the mean over tasks of the score beyond chance, to the original's"
                                       : "the perplexity of the original to that of the compressed model");
  html += fmt::format("<p>Best SrCr: pruning alone at {}; bit width alone at {}.</p>",
                      html_escape(describe(joint.at("best").at("pruning"))),
                      html_escape(describe(joint.at("best").at("quantization"))));
  std::vector<std::vector<std::string>> rows;
  for (const Json& group : joint.at("equal_rate")) {
    rows.push_back({fmt::format("{:.2f} %", 100 * value(group, "tcr")), describe(group.at("pruning")),
                    describe(group.at("quantization")), describe(group.at("pair"))});
  }
  html += table({"TCr", "pruning alone", "bit width alone", "best pair"}, rows);
  rows.clear();
  for (const Json& row : joint.at("rows")) {
    rows.push_back({row.at("label").get<std::string>(), show(100 * value(row, "tcr"), 2),
                    show(value(row, "sr"), 4), show(value(row, "srcr"), 4), show(value(row, "kl"), 5)});
  }
  html += table({"", "TCr %", "Sr", "SrCr", "KL, nats"}, rows);
  const auto kind = [](const Json& row) { return row.at("kind").get<std::string>(); };
  Json single = Json::array();
  for (const Json& row : joint.at("rows"))
    if (row.contains("srcr")) single.push_back(row);
  const auto percent = [](const Json& row) { return 100 * value(row, "tcr"); };
  Plot all = make_plot(joint.at("rows"), "Divergence against theoretical compression rate", "TCr, %", percent,
                       "KL, nats per token", from("kl"), nullptr, true, kind);
  for (PlotSeries& series : all.series) series.line = series.name != "pair";
  html += "<div class='plots'>" + plot_html(all);
  html += plot_html(make_plot(single, "SrCr against theoretical compression rate", "TCr, %", percent, "SrCr",
                              from("srcr"), nullptr, false, kind));
  html += plot_html(make_plot(joint.at("pareto"), "Pareto front", "TCr, %", percent, "KL, nats per token",
                              from("kl"), nullptr, true, nullptr));
  return html + "</div>";
}

std::string rates_part(const Json& rates) {
  std::vector<std::vector<std::string>> rows;
  std::size_t better = 0;
  for (const Json& row : rates) {
    const double own = value(row, "kl");
    const double best = value(row, "best_kl");
    better += best < own ? 1 : 0;
    rows.push_back({row.at("label").get<std::string>(), show(value(row, "bits_per_weight"), 3), show(own, 5),
                    show(best, 5), show(best / own, 2)});
  }
  return fmt::format(
             "<p>best diverges less than the other method at {} of {} sizes within its rates; log KL is "
             "taken as linear in the bits between two of its points.</p>",
             better, rates.size()) +
         table({"", "bits/weight", "KL, nats", "best at this size", "to its own"}, rows);
}

std::string suite_part(const Json& results, const Json& suite) {
  const Json& original = results.at("original");
  const Json& points = suite.at("points");
  const auto name = suite.at("name").get<std::string>();
  std::string html = fmt::format("<section><h2>{}</h2><p>{}</p>", html_escape(name),
                                 html_escape(suite.at("summary").get<std::string>()));
  if (name == "coders") return html + coder_tables(points) + "</section>\n";
  if (name == "joint" && results.contains("joint")) html += joint_part(results.at("joint"));
  if (name == "rates") html += rates_part(results.at("rates"));
  html += point_table(original, points);
  html += "<div class='plots'>";
  const auto recipe_text = [](const char* key) {
    return [key](const Json& point) { return point.at("recipe").at(key).get<std::string>(); };
  };
  const auto cr_plot = [&](const std::string& against, const std::string& label, const Getter& x,
                           const Series& series = nullptr) {
    return plot_html(
        make_plot(points, "CR against " + against, label, x, "CR", from("cr"), nullptr, false, series));
  };
  if (name == "alpha") {
    html += cr_plot("alpha", "α", from_recipe("alpha"));
    html += quality_plots(original, points, "alpha", "α", from_recipe("alpha"));
  } else if (name == "sparsity") {
    html += cr_plot("sparsity", "share of zeros asked for", from_recipe("sparsity"));
    html += quality_plots(original, points, "sparsity", "share of zeros asked for", from_recipe("sparsity"));
  } else if (name == "pruners") {
    html += cr_plot("sparsity", "share of zeros asked for", from_recipe("sparsity"), recipe_text("pruner"));
    html += quality_plots(original, points, "sparsity", "share of zeros asked for", from_recipe("sparsity"),
                          recipe_text("pruner"));
  } else if (name != "joint") {
    html += quality_plots(original, points, "bits", "bits per weight", from("bits_per_weight"),
                          name == "quantizers" || name == "rates" ? recipe_text("recipe") : Series());
  }
  // A point in the middle shows what the recipe does to the weights.
  for (const Json& point : points) {
    if (name != "dc" && &point != &points[points.size() / 2]) continue;
    html += histogram_plot(original, point);
    if (!point.at("layers").empty()) html += layer_plot(point);
  }
  return html + "</div></section>\n";
}

}  // namespace

std::string lab_html(const Json& results) {
  const auto model = html_escape(results.at("model").get<std::string>());
  std::string html =
      "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
      "<meta name='viewport' content='width=device-width,initial-scale=1'>"
      "<meta name='color-scheme' content='light dark'><title>" +
      model + "</title><style>" + kStyle + "</style></head><body>\n<h1>" + model + "</h1>";
  html += fmt::format(
      "<p>Quality on {} tokens of {}, context {}, against the original in FP32; ± are standard errors. CR is "
      "INT8 bytes to stored bytes of the decoder's linear layers, bits per weight are of the same, tables "
      "and "
      "scales counted; the directory is all files. Twofold {}.</p>\n",
      results.at("original").at("tokens").get<std::int64_t>(),
      html_escape(results.at("text").get<std::string>()),
      results.at("original").at("context").get<std::int64_t>(),
      html_escape(results.at("version").get<std::string>()));
  for (const Json& suite : results.at("suites")) html += suite_part(results, suite);
  if (results.contains("search")) {
    const Json& search = results.at("search");
    html += fmt::format(
        "<section><h2>search</h2><p>Best pair at TCr {:.2f} %: {} bits, {:.2f} % pruned, KL {:.5f} nats; {} "
        "of {} "
        "widths measured.</p></section>\n",
        100 * value(search, "tcr"), search.at("width").get<int>(), 100 * value(search, "sparsity"),
        value(search, "kl"), search.at("measured").size(), search.at("candidates").get<int>());
  }
  return html + "</body></html>\n";
}

}  // namespace twofold
