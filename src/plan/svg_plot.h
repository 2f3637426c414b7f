#pragma once

#include <string>
#include <utility>
#include <vector>

namespace twofold {

struct PlanSeries {
  std::string label;
  std::vector<std::pair<double, double>> points;  // x, y; in order of x
};

/// Lines over common axes that begin at 0.
struct PlanPlot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<PlanSeries> series;
};

/// A drawing that needs nothing else. Texts may hold anything.
std::string svg_plot(const PlanPlot& plot);

}  // namespace twofold
