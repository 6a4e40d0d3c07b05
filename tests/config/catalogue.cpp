#include "tests/config/catalogue.hpp"

#include <utility>

namespace kvr::test {

namespace {

ParamSpec spec(std::string name, ValueType type, Value value, ParamDoc info) {
  return {std::move(name), type, std::move(value), info};
}

Catalogue make_catalogue() {
  Catalogue made;
  made.add("budget", {"fixed",
                      "a number of entries",
                      "",
                      {spec("entries", ValueType::integer, std::int64_t{64},
                            {.doc = "entries", .unit = "entries", .min = 1, .max = 4096})}});
  made.add("budget",
           {"fraction",
            "a share",
            "",
            {spec("share", ValueType::real, 0.1, {.doc = "share", .min = 0, .max = 1, .above_min = true})}});
  made.add("budget", {"none", "no entries", "", {}});
  made.add("clustering",
           {"page",
            "pages",
            "",
            {spec("page_tokens", ValueType::integer, std::int64_t{16}, {.doc = "size", .min = 1}),
             spec("metric", ValueType::text, std::string("l2"), {.doc = "metric", .choices = "l2|cosine"})}});
  made.add("clustering", {"token", "tokens", "", {}});
  made.add("codec", {"fp16", "half", "", {}});
  made.add("device",
           {"ufs",
            "flash",
            "a data sheet",
            {spec("latency", ValueType::real, 25e-6,
                  {.doc = "latency",
                   .unit = "s",
                   .quantity = Quantity::seconds,
                   .min = 1e-9,
                   .max = 1.0,
                   .source = "measured"}),
             spec("bandwidth", ValueType::real, 2.9e9,
                  {.doc = "bandwidth",
                   .quantity = Quantity::bytes_per_second,
                   .min = 0,
                   .above_min = true,
                   .unlimited = true}),
             spec("block", ValueType::integer, std::int64_t{4096},
                  {.doc = "block", .quantity = Quantity::bytes, .min = 512, .max = 1048576}),
             spec("serial", ValueType::text, std::string(), {.doc = "serial number", .required = true})}});
  made.add("layout", {"token_order", "order", "", {}});
  made.add("model", {"decoder",
                     "decoder",
                     "",
                     {spec("layers", ValueType::integer, std::int64_t{0}, {.doc = "layers", .min = 0})}});
  made.add("phone",
           {"soc",
            "phone",
            "",
            {spec("clock", ValueType::real, 3.3e9, {.doc = "clock", .quantity = Quantity::hertz, .min = 1e6}),
             spec("npu", ValueType::boolean, false, {.doc = "uses its NPU"})}});
  made.add("replacement", {"lru", "lru", "", {}});
  made.add("replacement", {"none", "none", "", {}});
  made.add("schedule", {"serial", "serial", "", {}});
  made.add("scorer", {"centroid", "centroid", "", {}});
  made.add("scorer", {"exact", "exact", "", {}});
  made.add("scorer",
           {"sketch",
            "sketch",
            "",
            {spec("rank", ValueType::integer, std::int64_t{8}, {.doc = "rank", .min = 1, .max = 64})}});
  return made;
}

}  // namespace

const Catalogue& catalogue() {
  static const Catalogue made = make_catalogue();
  return made;
}

const std::string_view kGood =
    "name: good\n"
    "trace: {path: t.h5}\n"
    "phone: soc\n"
    "device: {type: ufs, serial: A1}\n"
    "system:\n"
    "  clustering: {type: page, page_tokens: 32}\n"
    "  stages:\n"
    "    - scorer: exact\n"
    "      budget: {type: fraction, share: 0.25}\n"
    "  codec: {k: fp16, v: fp16}\n"
    "  layout: token_order\n"
    "  replacement: lru\n"
    "  cache: {capacity: 64MiB}\n"
    "run:\n"
    "  seed: 7\n";

}  // namespace kvr::test
