#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace twofold {

struct PlotPoint {
  double x = 0;
  double y = 0;
  double error = 0;   // half the height of its bar; 0: none
  std::string label;  // shown where the pointer rests
};

struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;
  bool line = true;     // joins the points
  bool markers = true;  // draws them
};

struct Plot {
  std::string title;
  std::string x_label;
  std::string y_label;
  bool log_y = false;  // values of 0 and below are left out
  std::vector<PlotSeries> series;
};

/// A figure of HTML with inline SVG: title, a legend where there are several series, axes with round ticks.
/// Colours are the page's variables --c0 to --c7, used in turn, and each series has its own marker, so that
/// it can be told apart in print. Empty when no point can be drawn.
std::string plot_html(const Plot& plot);

/// Text for HTML.
std::string html_escape(std::string_view text);

}  // namespace twofold
