// The picture of a curve as SVG, text and lines only, so that it needs no library and stays sharp:
//
//   one row of panels for each range and number of threads: bandwidth over size, latency over size
//   one line and one legend entry for each depth, from light to dark
//   axes logarithmic; sizes are ticked in powers of two, figures at 1, 2 and 5 times powers of ten
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "sim/cli/device/curve_output.hpp"

namespace kvr::cli {
namespace {

constexpr double kWidth = 1000.0;
constexpr double kTitleHeight = 56.0;
constexpr double kRowHeight = 380.0;
constexpr double kPanelTop = 34.0;
constexpr double kPanelHeight = 270.0;
constexpr double kPanelWidth = 350.0;
constexpr std::array kPanelLeft = {80.0, 520.0};
constexpr double kLegendLeft = 892.0;
constexpr double kNoteHeight = 17.0;
constexpr double kMega = 1e6;
constexpr std::size_t kMaxSizeLabels = 10;

/// Viridis without its lightest end, which is hard to see on white.
constexpr std::array<std::array<double, 3>, 6> kColours = {{
    {122, 209, 81},
    {34, 168, 132},
    {42, 120, 142},
    {65, 68, 135},
    {72, 36, 117},
    {48, 4, 60},
}};

std::string colour_of(std::size_t index, std::size_t count) {
  const double last = static_cast<double>(kColours.size() - 1);
  const double at =
      count < 2 ? last - 2.0 : last * static_cast<double>(index) / static_cast<double>(count - 1);
  const auto low = std::min(static_cast<std::size_t>(at), kColours.size() - 2);
  const double share = at - static_cast<double>(low);
  std::array<int, 3> mixed{};
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    mixed[i] = static_cast<int>(std::lround(kColours[low][i] * (1.0 - share) + kColours[low + 1][i] * share));
  }
  return fmt::format("#{:02x}{:02x}{:02x}", mixed[0], mixed[1], mixed[2]);
}

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '&') {
      safe += "&amp;";
    } else if (c == '<') {
      safe += "&lt;";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string label(double x, double y, std::string_view anchor, std::string_view text,
                  std::string_view more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more,
                     escaped(text));
}

std::string line(double x1, double y1, double x2, double y2, std::string_view style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2,
                     style);
}

/// A logarithmic axis from the smallest to the largest of what it shows, mapped to [begin, end] of the page.
struct LogAxis {
  double low;
  double high;
  double begin;
  double end;

  double place(double value) const {
    return begin + (end - begin) * std::log(value / low) / std::log(high / low);
  }
};

/// With some room, because a line on the frame is hard to see; never empty.
LogAxis axis_over(double low, double high, double begin, double end) {
  const double room = std::max(1.15, std::pow(high / low, 0.04));
  return {low / room, high * room, begin, end};
}

/// 1, 2 and 5 times powers of ten within the axis; powers alone where that would be too many.
std::vector<double> ticks_of(const LogAxis& axis) {
  const bool wide = axis.high / axis.low > 3e3;
  std::vector<double> ticks;
  for (double power = std::pow(10.0, std::floor(std::log10(axis.low))); power <= axis.high; power *= 10.0) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * power;
      if (tick >= axis.low && tick <= axis.high && (factor == 1.0 || !wide)) {
        ticks.push_back(tick);
      }
    }
  }
  return ticks;
}

struct Panel {
  const char* name;
  double flash::LoadResult::*member;
  double scale;
};

constexpr std::array kPanels = {
    Panel{"bandwidth (MB/s)", &flash::LoadResult::bytes_per_s, 1.0 / kMega},
    Panel{"mean latency (µs)", &flash::LoadResult::latency_s, kMega},
};

/// Draws one curve; all panels of one kind share their axes, so that rows can be compared.
class Picture {
 public:
  Picture(const DeviceChoice& choice, const Curve& curve) : choice_(choice), curve_(curve) {
    const auto& sizes = curve.plan.sizes_bytes;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      by_size_.push_back(i);
    }
    std::ranges::sort(by_size_, {}, [&sizes](std::size_t i) { return sizes[i]; });
    for (std::size_t i = 0; i < curve.plan.depths.size(); ++i) {
      by_depth_.push_back(i);
    }
    std::ranges::sort(by_depth_, {}, [&](std::size_t i) { return curve.plan.depths[i]; });
  }

  std::string draw() const {
    const CurvePlan& plan = curve_.plan;
    const auto rows = static_cast<double>(plan.ranges_bytes.size() * plan.threads.size());
    const double height =
        kTitleHeight + rows * kRowHeight + kNoteHeight * static_cast<double>(curve_.notes.size());
    std::string svg = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 "
        "{0:.0f} "
        "{1:.0f}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n"
        "<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#fff\"/>\n",
        kWidth, height);
    svg += label(kPanelLeft[0], 30.0, "start", curve_title(choice_, curve_),
                 " font-size=\"17\" font-weight=\"bold\"");
    svg += label(kPanelLeft[0], 49.0, "start", fmt::format("host: {}", choice_.host_name), " fill=\"#666\"");
    double top = kTitleHeight;
    for (std::size_t range = 0; range < plan.ranges_bytes.size(); ++range) {
      for (std::size_t threads = 0; threads < plan.threads.size(); ++threads) {
        svg += row(range, threads, top);
        top += kRowHeight;
      }
    }
    for (const std::string& note : curve_.notes) {
      svg += label(kPanelLeft[0], top, "start", note, " font-size=\"11\" fill=\"#666\"");
      top += kNoteHeight;
    }
    return svg + "</svg>\n";
  }

 private:
  std::string row(std::size_t range, std::size_t threads, double top) const {
    const CurvePlan& plan = curve_.plan;
    std::string svg = label(
        kPanelLeft[0], top + 22.0, "start",
        fmt::format("over {}, {}", bytes_text(plan.ranges_bytes[range]), threads_text(plan.threads[threads])),
        " font-weight=\"bold\"");
    for (std::size_t i = 0; i < kPanels.size(); ++i) {
      svg += panel(kPanels[i], kPanelLeft[i], top + kPanelTop, range, threads);
    }
    return svg + legend(top + kPanelTop);
  }

  std::string panel(const Panel& panel, double left, double top, std::size_t range,
                    std::size_t threads) const {
    const LogAxis x = size_axis(left);
    const LogAxis y = figure_axis(panel, top);
    std::string svg = fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"none\" "
        "stroke=\"#888\"/>\n",
        left, top, kPanelWidth, kPanelHeight);
    svg += size_ticks(x, top) + figure_ticks(y, left);
    svg += label(left + kPanelWidth / 2.0, top + kPanelHeight + 46.0, "middle", "request size");
    const double middle = top + kPanelHeight / 2.0;
    svg += label(left - 52.0, middle, "middle", panel.name,
                 fmt::format(" transform=\"rotate(-90 {:.1f} {:.1f})\"", left - 52.0, middle));
    for (std::size_t i = 0; i < by_depth_.size(); ++i) {
      svg += depth_line(panel, x, y, range, threads, i);
    }
    return svg;
  }

  LogAxis size_axis(double left) const {
    const auto [low, high] = std::ranges::minmax(curve_.plan.sizes_bytes);
    return axis_over(static_cast<double>(low), static_cast<double>(high), left, left + kPanelWidth);
  }

  LogAxis figure_axis(const Panel& panel, double top) const {
    const auto [low, high] = std::ranges::minmax_element(
        curve_.points, {}, [&panel](const CurvePoint& point) { return point.result.*panel.member; });
    return axis_over(low->result.*panel.member * panel.scale, high->result.*panel.member * panel.scale,
                     top + kPanelHeight, top);
  }

  std::string size_ticks(const LogAxis& x, double top) const {
    std::string svg;
    const double bottom = top + kPanelHeight;
    const std::size_t step = (by_size_.size() + kMaxSizeLabels - 1) / kMaxSizeLabels;
    for (std::size_t i = 0; i < by_size_.size(); i += step) {
      const std::int64_t size = curve_.plan.sizes_bytes[by_size_[i]];
      const double at = x.place(static_cast<double>(size));
      svg += line(at, top, at, bottom, "stroke=\"#eee\"");
      svg +=
          label(at, bottom + 14.0, "end", bytes_text(size),
                fmt::format(" font-size=\"10\" transform=\"rotate(-35 {:.1f} {:.1f})\"", at, bottom + 14.0));
    }
    return svg;
  }

  static std::string figure_ticks(const LogAxis& y, double left) {
    std::string svg;
    for (const double tick : ticks_of(y)) {
      const double at = y.place(tick);
      svg += line(left, at, left + kPanelWidth, at, "stroke=\"#ddd\"");
      svg += label(left - 6.0, at + 4.0, "end", fmt::format("{:g}", tick), " font-size=\"11\"");
    }
    return svg;
  }

  std::string depth_line(const Panel& panel, const LogAxis& x, const LogAxis& y, std::size_t range,
                         std::size_t threads, std::size_t order) const {
    const std::string colour = colour_of(order, by_depth_.size());
    std::string places;
    std::string dots;
    for (const std::size_t size : by_size_) {
      const CurvePoint& point = curve_.at(range, threads, by_depth_[order], size);
      const double at_x = x.place(static_cast<double>(point.load.bytes));
      const double at_y = y.place(point.result.*panel.member * panel.scale);
      places += fmt::format("{}{:.1f},{:.1f}", places.empty() ? "" : " ", at_x, at_y);
      dots +=
          fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\" fill=\"{}\"/>\n", at_x, at_y, colour);
    }
    return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\"/>\n", places,
                       colour) +
           dots;
  }

  std::string legend(double top) const {
    std::string svg = label(kLegendLeft, top + 10.0, "start", "depth per thread");
    for (std::size_t i = 0; i < by_depth_.size(); ++i) {
      // The deepest on top, as its line of bandwidth is.
      const std::size_t order = by_depth_.size() - 1 - i;
      const double y = top + 30.0 + 18.0 * static_cast<double>(i);
      svg += line(kLegendLeft, y - 4.0, kLegendLeft + 24.0, y - 4.0,
                  fmt::format("stroke=\"{}\" stroke-width=\"2.4\"", colour_of(order, by_depth_.size())));
      svg += label(kLegendLeft + 32.0, y, "start", fmt::format("{}", curve_.plan.depths[by_depth_[order]]));
    }
    return svg;
  }

  const DeviceChoice& choice_;
  const Curve& curve_;
  std::vector<std::size_t> by_size_;  ///< places in the plan's lists, ascending
  std::vector<std::size_t> by_depth_;
};

}  // namespace

std::string curve_svg(const DeviceChoice& choice, const Curve& curve) {
  return Picture(choice, curve).draw();
}

}  // namespace kvr::cli
