#include "eval/lab/svg_plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace twofold {

namespace {

constexpr double kWidth = 440, kHeight = 300;
constexpr double kLeft = 68, kRight = 14, kTop = 10, kBottom = 44;
constexpr std::size_t kColors = 8;

/// One axis: values to pixels, and its ticks.
class Axis {
 public:
  Axis(double low, double high, bool logarithmic, double begin, double end)
      : logarithmic_(logarithmic), begin_(begin), end_(end) {
    if (logarithmic_) {
      low_ = std::log10(low);
      high_ = std::log10(high);
      if (high_ - low_ < 0.3) {
        low_ -= 0.15;
        high_ += 0.15;
      }
      log_ticks();
    } else {
      low_ = low;
      high_ = high;
      if (high_ - low_ < 1e-12 * std::max(1.0, std::abs(high_))) {
        low_ -= 0.5;
        high_ += 0.5;
      }
      linear_ticks();
    }
  }

  double at(double value) const {
    const double v = logarithmic_ ? std::log10(value) : value;
    return begin_ + (v - low_) / (high_ - low_) * (end_ - begin_);
  }
  const std::vector<double>& ticks() const { return ticks_; }

 private:
  /// Steps of 1, 2 or 5 times a power of ten; the range is widened to whole steps.
  void linear_ticks() {
    const double rough = (high_ - low_) / 5;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    double step = power;
    for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
      step = power * factor;
      if (step >= rough) break;
    }
    const auto first = std::llround(std::floor(low_ / step + 1e-9));
    const auto last = std::llround(std::ceil(high_ / step - 1e-9));
    for (auto i = first; i <= last; ++i) ticks_.push_back(static_cast<double>(i) * step);
    low_ = ticks_.front();
    high_ = ticks_.back();
  }

  void log_ticks() {
    const bool few = high_ - low_ < 1.6;
    for (int power = static_cast<int>(std::floor(low_)) - 1; power <= std::ceil(high_); ++power) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        if (!few && factor != 1.0) continue;
        const double tick = factor * std::pow(10, power);
        const double v = std::log10(tick);
        if (v >= low_ - 1e-9 && v <= high_ + 1e-9) ticks_.push_back(tick);
      }
    }
  }

  bool logarithmic_;
  double begin_, end_;
  double low_ = 0, high_ = 1;
  std::vector<double> ticks_;
};

std::string number(double value) {
  if (std::abs(value) < 1e-12) return "0";
  return std::abs(value) >= 1e5 || std::abs(value) < 1e-3 ? fmt::format("{:.0e}", value)
                                                          : fmt::format("{:.6g}", value);
}

/// Shapes that can be told apart without colour.
std::string marker(std::size_t series, double x, double y) {
  constexpr double kR = 4;
  switch (series % 5) {
    case 0:
      return fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='{}'", x, y, kR);
    case 1:
      return fmt::format("<rect x='{:.1f}' y='{:.1f}' width='{}' height='{}'", x - kR, y - kR, 2 * kR,
                         2 * kR);
    case 2:
      return fmt::format("<path d='M{:.1f} {:.1f}l{} {}h{}z'", x, y - kR - 1, kR + 1, 2 * kR, -2 * (kR + 1));
    case 3:
      return fmt::format("<path d='M{:.1f} {:.1f}l{} {}l{} {}l{} {}z'", x, y - kR - 1, kR + 1, kR + 1,
                         -kR - 1, kR + 1, -kR - 1, -kR - 1);
    default:
      break;
  }
  return fmt::format("<path d='M{:.1f} {:.1f}l{} {}h{}z'", x, y + kR + 1, kR + 1, -2 * kR, -2 * (kR + 1));
}

bool drawn(const Plot& plot, const PlotPoint& point) {
  return std::isfinite(point.x) && std::isfinite(point.y) && (!plot.log_y || point.y > 0);
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

std::string axes(const Plot& plot, const Axis& x, const Axis& y) {
  std::string svg;
  for (const double tick : y.ticks()) {
    svg += fmt::format("<line class='grid' x1='{}' x2='{}' y1='{:.1f}' y2='{:.1f}'/>", kLeft, kWidth - kRight,
                       y.at(tick), y.at(tick));
    svg += fmt::format("<text class='tick' text-anchor='end' x='{}' y='{:.1f}'>{}</text>", kLeft - 6,
                       y.at(tick) + 4, number(tick));
  }
  for (const double tick : x.ticks()) {
    svg += fmt::format("<text class='tick' text-anchor='middle' x='{:.1f}' y='{}'>{}</text>", x.at(tick),
                       kHeight - kBottom + 17, number(tick));
  }
  svg += fmt::format("<line class='axis' x1='{}' x2='{}' y1='{}' y2='{}'/>", kLeft, kWidth - kRight,
                     kHeight - kBottom, kHeight - kBottom);
  svg += fmt::format("<text class='name' text-anchor='middle' x='{}' y='{}'>{}</text>",
                     (kLeft + kWidth - kRight) / 2, kHeight - 8, html_escape(plot.x_label));
  svg +=
      fmt::format("<text class='name' text-anchor='middle' transform='translate(13 {})rotate(-90)'>{}</text>",
                  (kTop + kHeight - kBottom) / 2, html_escape(plot.y_label));
  return svg;
}

std::string draw(const Plot& plot, const PlotSeries& series, std::size_t index, const Axis& x,
                 const Axis& y) {
  const std::string color = fmt::format("var(--c{})", index % kColors);
  std::string path;
  std::string marks;
  for (const PlotPoint& point : series.points) {
    if (!drawn(plot, point)) continue;
    const double px = x.at(point.x);
    const double py = y.at(point.y);
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", px, py);
    const double low = point.y - point.error;
    if (point.error > 0 && (!plot.log_y || low > 0)) {
      marks += fmt::format("<line stroke='{}' x1='{:.1f}' x2='{:.1f}' y1='{:.1f}' y2='{:.1f}'/>", color, px,
                           px, y.at(low), y.at(point.y + point.error));
    }
    if (!series.markers) continue;
    marks += fmt::format("{} fill='{}'><title>{}: {:.6g}, {:.6g}</title>{}", marker(index, px, py), color,
                         html_escape(point.label.empty() ? series.name : point.label), point.x, point.y,
                         index % 5 == 0   ? "</circle>"
                         : index % 5 == 1 ? "</rect>"
                                          : "</path>");
  }
  if (series.line && !path.empty())
    path = fmt::format("<path fill='none' stroke='{}' stroke-width='1.8' d='{}'/>", color, path);
  else
    path.clear();
  return path + marks;
}

std::string legend(const Plot& plot) {
  if (plot.series.size() < 2) return "";
  std::string html = "<ul class='legend'>";
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const std::string color = fmt::format("var(--c{})", i % kColors);
    html += "<li><svg width='22' height='14' viewBox='0 0 22 14' aria-hidden='true'>";
    if (plot.series[i].line) html += fmt::format("<path d='M1 7H21' stroke='{}' stroke-width='1.8'/>", color);
    if (plot.series[i].markers) html += fmt::format("{} fill='{}'/>", marker(i, 11, 7), color);
    html += "</svg>" + html_escape(plot.series[i].name) + "</li>";
  }
  return html + "</ul>";
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string plot_html(const Plot& plot) {
  Range xs;
  Range ys;
  for (const PlotSeries& series : plot.series) {
    for (const PlotPoint& point : series.points) {
      if (!drawn(plot, point)) continue;
      xs.add(point.x);
      ys.add(point.y + point.error);
      if (!plot.log_y || point.y > point.error) ys.add(point.y - point.error);
    }
  }
  if (xs.low > xs.high) return "";
  const Axis x(xs.low, xs.high, false, kLeft + 6, kWidth - kRight - 6);
  const Axis y(ys.low, ys.high, plot.log_y, kHeight - kBottom, kTop);
  std::string html = "<figure><figcaption>" + html_escape(plot.title) + "</figcaption>" + legend(plot);
  html += fmt::format("<svg viewBox='0 0 {} {}' role='img' aria-label='{}'>", kWidth, kHeight,
                      html_escape(plot.title));
  html += axes(plot, x, y);
  for (std::size_t i = 0; i < plot.series.size(); ++i) html += draw(plot, plot.series[i], i, x, y);
  return html + "</svg></figure>\n";
}

}  // namespace twofold
