#include "plan/svg_plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace twofold {

namespace {

constexpr double kWidth = 720;
constexpr double kHeight = 420;
constexpr double kLeft = 64;
constexpr double kRight = 24;
constexpr double kTop = 44;
constexpr double kBottom = 56;
constexpr std::array kColours = {"#1a6fb0", "#c8501e", "#3a8f3a", "#7a4fb5"};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (static_cast<unsigned char>(c) >= 32) {  // no control characters in XML
      out += c;
    }
  }
  return out;
}

/// 1, 2 or 5 times a power of ten that cuts `range` into about five.
double tick_step(double range) {
  const double rough = range / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text, const char* more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more,
                     escaped(text));
}

}  // namespace

std::string svg_plot(const PlanPlot& plot) {
  double x_most = 0;
  double y_most = 0;
  for (const PlanSeries& series : plot.series) {
    for (const auto& [x, y] : series.points) {
      x_most = std::max(x_most, x);
      y_most = std::max(y_most, y);
    }
  }
  if (!(x_most > 0)) x_most = 1;
  if (!(y_most > 0)) y_most = 1;
  const double x_step = tick_step(x_most);
  const double y_step = tick_step(y_most);
  x_most = std::ceil(x_most / x_step) * x_step;
  y_most = std::ceil(y_most / y_step) * y_step;
  const auto at_x = [&](double x) { return kLeft + x / x_most * (kWidth - kLeft - kRight); };
  const auto at_y = [&](double y) { return kHeight - kBottom - y / y_most * (kHeight - kTop - kBottom); };

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
      kWidth, kHeight);
  svg += text_at(kLeft, 24, "start", plot.title, " font-size=\"15\"");
  for (int i = 0; i * x_step <= x_most * 1.0001; ++i) {
    const double x = at_x(i * x_step);
    svg +=
        fmt::format("<path d=\"M{0:.1f} {1:.1f}V{2:.1f}\" stroke=\"#ddd\"/>\n", x, kTop, kHeight - kBottom);
    svg += text_at(x, kHeight - kBottom + 18, "middle", fmt::format("{:g}", i * x_step));
  }
  for (int i = 0; i * y_step <= y_most * 1.0001; ++i) {
    const double y = at_y(i * y_step);
    svg += fmt::format("<path d=\"M{0:.1f} {1:.1f}H{2:.1f}\" stroke=\"#ddd\"/>\n", kLeft, y, kWidth - kRight);
    svg += text_at(kLeft - 8, y + 4, "end", fmt::format("{:g}", i * y_step));
  }
  svg += text_at((kLeft + kWidth - kRight) / 2, kHeight - 14, "middle", plot.x_label);
  svg += text_at(16, (kTop + kHeight - kBottom) / 2, "middle", plot.y_label,
                 fmt::format(" transform=\"rotate(-90 16 {:.1f})\"", (kTop + kHeight - kBottom) / 2).c_str());
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const PlanSeries& series = plot.series[i];
    const char* colour = kColours[i % kColours.size()];
    std::string points;
    for (const auto& [x, y] : series.points) points += fmt::format("{:.1f},{:.1f} ", at_x(x), at_y(y));
    svg += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", points,
                       colour);
    const double y = kTop + 16 + 18 * static_cast<double>(i);
    svg += fmt::format("<path d=\"M{:.1f} {:.1f}h22\" stroke=\"{}\" stroke-width=\"3\"/>\n", kLeft + 12,
                       y - 4, colour);
    svg += text_at(kLeft + 40, y, "start", series.label);
  }
  return svg + "</svg>\n";
}

}  // namespace twofold
