#include "sim/config/text/grammar.hpp"

#include <algorithm>
#include <array>

#include "sim/config/stage_config.hpp"

namespace kvr::config {

namespace {

struct KindDoc {
  std::string_view kind;
  std::string_view doc;
};

constexpr std::array kKindDocs = {
    KindDoc{"budget", "says how many entries each head may select"},
    KindDoc{"clustering", "groups the entries of one head into units"},
    KindDoc{"codec", "stored form of a row of keys or values"},
    KindDoc{"device", "flash device"},
    KindDoc{"layout", "places the entries of a layer on flash"},
    KindDoc{"model", "the decoder that timing is done for"},
    KindDoc{"phone", "processor and memory"},
    KindDoc{"replacement", "decides which units stay in the caches of a tier"},
    KindDoc{"schedule", "lays the operations of a step on compute, flash and links"},
    KindDoc{"scorer", "says what each unit is worth to the current queries"},
};

Field value(std::string name, ValueType type, Value default_value, ParamDoc info) {
  const std::string doc(info.doc);
  ParamSpec spec{name, type, std::move(default_value), info};
  return {.name = std::move(name), .shape = Shape::value, .doc = doc, .spec = std::move(spec)};
}

Field text(std::string name, std::string default_value, ParamDoc info) {
  return value(std::move(name), ValueType::text, std::move(default_value), info);
}

Field integer(std::string name, std::int64_t default_value, ParamDoc info) {
  return value(std::move(name), ValueType::integer, default_value, info);
}

Field boolean(std::string name, bool default_value, std::string_view doc) {
  return value(std::move(name), ValueType::boolean, default_value, {.doc = doc});
}

Field path(std::string name, ParamDoc info) {
  Field field = text(std::move(name), "", info);
  field.is_path = true;
  return field;
}

Field table(std::string name, std::string doc, std::vector<Field> fields) {
  return {.name = std::move(name), .shape = Shape::table, .doc = std::move(doc), .fields = std::move(fields)};
}

Field component(std::string name, std::string kind, std::string default_type = "",
                std::string_view doc = "") {
  const std::string_view said = doc.empty() ? kind_doc(kind) : doc;
  return {.name = std::move(name),
          .shape = Shape::component,
          .doc = std::string(said),
          .kind = std::move(kind),
          .default_type = std::move(default_type)};
}

/// `moot_type` stands there where it is not needed.
Field needed(Needed where, const std::string& kind, std::string moot_type) {
  Field field = component(kind, kind, std::move(moot_type));
  field.needed = where;
  return field;
}

Field shaped(std::string name, Shape shape, std::string doc) {
  return {.name = std::move(name), .shape = shape, .doc = std::move(doc)};
}

/// An own key for the share, because the number alone must stay an integer.
Field pinned(std::string name, std::int64_t entries, std::string_view doc) {
  return integer(std::move(name), entries,
                 {.doc = doc, .unit = "entries", .min = 0, .max = bounds::kEntries});
}

Field pinned_share(std::string name, std::string_view doc) {
  return value(std::move(name), ValueType::real, 0.0, {.doc = doc, .min = 0, .max = 1});
}

Field words(std::string name, std::string default_words, ParamDoc info) {
  Field field = text(std::move(name), std::move(default_words), info);
  field.shape = Shape::words;
  return field;
}

/// `info` has the unit of what is numbered.
Field numbers(std::string name, ParamDoc info) {
  Field field = text(std::move(name), "all", info);
  field.is_numbers = true;
  return field;
}

Field layers() {
  return numbers("layers",
                 {.doc = "layers of the model that it acts in: numbers and ranges, as 0..1, 2.. or "
                         "0..3,8; in a layer without a stage that selects, all entries are attended "
                         "to",
                  .unit = "layers"});
}

Field overflow() {
  Field field = table(
      "overflow", "what must be exceeded for the stage to act; for stages that evict or place",
      {integer("entries", 0,
               {.doc = "acts on heads that have more live entries only; 0: on all",
                .unit = "entries",
                .min = 0,
                .max = bounds::kEntries}),
       text("tier", "",
            {.doc =
                 "acts where what the budget's scope holds in this tier exceeds its share of `bytes`: of the "
                 "first tier what is cached there, of the last all that is live",
             .source = "InfiniGen, OSDI'24 (pool limit)"}),
       value("bytes", ValueType::integer, std::int64_t{0},
             {.doc = "of the whole model",
              .unit = "bytes",
              .quantity = Quantity::bytes,
              .min = 0,
              .max = bounds::kExactInteger})});
  field.shorthand = "entries";
  return field;
}

Field stage() {
  return table(
      "stage", "one act of selecting, evicting or reading early",
      {text("name", "", {.doc = "what a later stage may take from"}),
       text("take", "",
            {.doc = "the stage before this one that chooses for it, in its layer or else in the nearest "
                    "captured layer below that it acts in; scorer, budget, queries, units, norm, fold and "
                    "last_unit are that one's"}),
       value("recheck", ValueType::real, 0.0,
             {.doc = "where the stage takes from one of its own layer: a head is ranked anew, for its own "
                     "queries, by "
                     "that one's scorer and within its budget, where their cosine to the queries that were "
                     "ranked for "
                     "is lower, mean over the query heads; 0: never",
              .min = 0,
              .max = 1,
              .source = "FreeKV, arXiv 2505.13109 (fine-grained correction)"}),
       words("when", "step",
             {.doc = "when the stage acts: in decode steps, when the prompt has been read, or both; "
                     "layer_end: while "
                     "it is read, when so many layers as `every` says have been, on all of those",
              .choices = "step|prefill_end|layer_end"}),
       integer(
           "every", 1,
           {.doc =
                "acts in every so many-th step only, or after every so many layers of the model; for stages "
                "that evict",
            .unit = "steps or layers",
            .min = 1,
            .max = bounds::kEntries}),
       overflow(),
       text("effect", "select",
            {.doc = "what becomes of the best units. select: they are attended to; several stages narrow one "
                    "another. evict: they are kept, and what is neither among them nor pinned is removed for "
                    "good. prefetch: they are read before their layer asks for them. place: they and the "
                    "pinned come to be in `tier`, and what else is cached there leaves it",
             .choices = "select|evict|prefetch|place"}),
       text("tier", "", {.doc = "the first tier, where a stage that places does"}),
       text("queries", "own",
            {.doc =
                 "whose queries units are ranked for. own: the layer's. previous_layer: what the layer below "
                 "speculates them to be. last_step: the layer's own of the step before. oracle: the layer's "
                 "own before they are known, as no system can",
             .choices = "own|previous_layer|last_step|oracle"}),
       table("lead", "how long before its layer a stage that prefetches reads",
             {integer(
                  "layers", 1,
                  {.doc =
                       "layers; where there are fewer before it, from the step's begin; 1 for queries of the "
                       "previous_layer, which a model's first layer has not: it asks for itself",
                   .unit = "layers",
                   .min = 1,
                   .max = bounds::kEntries}),
              integer(
                  "steps", 0,
                  {.doc = "1: units are ranked when the step before has ended, for queries of the last_step "
                          "or an oracle's, and read from the step's begin on, whatever `layers` says; 0: "
                          "within the "
                          "step",
                   .unit = "steps",
                   .min = 0,
                   .max = 1,
                   .source = "FreeKV, arXiv 2505.13109 (speculative retrieval)"})}),
       layers(),
       text("units", "clustering",
            {.doc = "what is ranked: the units of the clustering, or single entries",
             .choices = "clustering|token"}),
       needed(Needed::unless_taken, "scorer", "exact"),
       needed(Needed::unless_taken, "budget", "fraction"),
       component(
           "estimate", "budget", std::string(kNoEstimate),
           "how many entries, best first after those that a stage selects, are not read but estimated, "
           "unit by "
           "unit: for each of a unit's entries that are not attended to stands what the scorer keeps of "
           "the unit. A unit with more than are left of this ends it"),
       text("scope", "head",
            {.doc = "which heads the budget is divided among: each alone, those of a layer, those of all "
                    "layers up "
                    "to it, or those of the model, which a stage that chooses in steps cannot know",
             .choices = "head|layer|layers_seen|model"}),
       text("across", "sequence",
            {.doc = "whose heads such a scope has: those of one sequence, or of all that decode together",
             .choices = "sequence|batch",
             .source = "batch: InfiniGen, OSDI'24 (one number of entries for a layer of the batch)"}),
       text("norm", "none",
            {.doc = "what is done to each query head's scores first", .choices = "none|softmax"}),
       text("fold", "mean",
            {.doc = "how the scores of a group's query heads become one; none: each query head selects for "
                    "itself",
             .choices = "none|mean|max|sum"}),
       text("last_unit", "cut",
            {.doc = "the unit that exceeds the budget is taken in part (cut) or left out (drop)",
             .choices = "cut|drop"}),
       table(
           "pins",
           "entries that are always selected, or kept, on top of the budget; where a stage selects, the "
           "current "
           "entry comes on top of them. A stage that prefetches guesses outside the pins of those that "
           "select",
           {pinned("sinks", 4, "first entries of the sequence"),
            pinned("recent", 32, "last entries of the sequence"),
            pinned_share("sinks_share", "first entries, at least this share of the prompt"),
            pinned_share("recent_share", "last entries, at least this share of the prompt"),
            text("pending", "counted",
                 {.doc = "what the clustering keeps in DRAM until a unit takes it, and is attended to in any "
                         "case. counted: as part of the budget; free: on top of it",
                  .choices = "counted|free",
                  .source = "counted: ClusterKV, DAC'25; free: KVSwap's rolling buffer"})})});
}

Field stages() {
  return {.name = "stages",
          .shape = Shape::list,
          .doc = "acts of selecting, evicting and reading early, in order; none: all entries are attended to",
          .fields = {stage()},
          .min_items = 0,
          .max_items = 16,
          .may_lack = false};
}

Field tier() {
  return table(
      "tier", "a kind of memory or, where it is the last and has no bandwidth, the flash device",
      {text("name", "", {.doc = "what results call it", .required = true}),
       value("bandwidth", ValueType::real, 0.0,
             {.doc = "of the link by which entries come up to the first tier, or attention reads them",
              .quantity = Quantity::bytes_per_second,
              .min = bounds::kSlowest,
              .max = bounds::kFastest}),
       value("latency", ValueType::real, 0.0,
             {.doc = "of that link, once for each transfer of a layer",
              .quantity = Quantity::seconds,
              .min = 0,
              .max = bounds::kLongest}),
       value("capacity", ValueType::integer, std::int64_t{0},
             {.doc = "room for entries of the whole model; of a tier between the first and the last",
              .unit = "bytes",
              .quantity = Quantity::bytes,
              .min = 1,
              .max = bounds::kExactInteger}),
       component("replacement", "replacement", "lru",
                 "decides which units stay in a tier between the first and the last"),
       text("copies", "inclusive",
            {.doc = "what a tier between the first and the last holds. inclusive: what was read through it; "
                    "exclusive: what the tier above it has evicted, until it is read again",
             .choices = "inclusive|exclusive"}),
       text("access", "copied",
            {.doc =
                 "how attention reads entries that lie in a tier of memory. copied: they come up to the "
                 "first tier; in_place: where they are, all tiers at once, the slowest by bytes / bandwidth "
                 "decides. The first is always read in place, where said so at a `bandwidth` of its own",
             .choices = "copied|in_place"})});
}

Field tiers() {
  return {.name = "tiers",
          .shape = Shape::list,
          .doc =
              "where entries are kept, fastest first; none given: DRAM over flash. Attention reads the "
              "first, whose room are `cache`, `replacement` and `dram`; the last holds everything. One "
              "alone: nothing is ever read or written",
          .fields = {tier()},
          .min_items = 0,
          .max_items = 8,
          .rule = ListRule::tiers};
}

Field cache() {
  return table("cache", "DRAM that keeps units between steps",
               {value("capacity", ValueType::integer, std::int64_t{0},
                      {.doc = "DRAM for cached units of the whole model; with system.dram no more than that "
                              "leaves, 0B: all "
                              "that it leaves",
                       .unit = "bytes",
                       .quantity = Quantity::bytes,
                       .min = 0,
                       .max = bounds::kExactInteger}),
                text("scope", "model",
                     {.doc = "what shares one capacity, here and in each tier between the first and the last",
                      .choices = "model|layer|head"}),
                text("holds", "all",
                     {.doc = "whose cached units are in DRAM. all: those of all layers; layer: those of the "
                             "layer that computes and of the next, which come in from flash meanwhile",
                      .choices = "all|layer",
                      .source = "DynaKV, arXiv 2511.07427, sec. 6 (layer-level cache virtualisation)"}),
                text("swap", "area",
                     {.doc = "where the cached units of other layers are. area: in a second place on flash, "
                             "which takes new entries in whole blocks and is read in one run; in_place: "
                             "nowhere, entries are read again where the layout has them",
                      .choices = "area|in_place",
                      .source = "DynaKV sec. 6: a layer's cached clusters go back to flash; the form of the "
                                "area is ours"})});
}

Field representatives() {
  Field field = text("representatives", "",
                     {.doc = "the tier where what the scorer keeps of units lives: the first, which is meant "
                             "where nothing is said, or the flash, which each layer reads them from; changed "
                             "ones are written in whole blocks. Without `tiers`: dram or flash",
                      .source = "DynaKV, arXiv 2511.07427, sec. 6, pipeline 1"});
  field.is_home = true;
  return field;
}

Field dram() {
  return value("dram", ValueType::integer, std::int64_t{0},
               {.doc = "DRAM for everything that a system keeps of the whole model: representatives, "
                       "metadata, buffers, pinned entries and, with what these leave, the caches; 0B: "
                       "cache.capacity alone says how large those are",
                .unit = "bytes",
                .quantity = Quantity::bytes,
                .min = 0,
                .max = bounds::kExactInteger});
}

Field codec() {
  const auto plane = [](std::string name, Needed needed, std::string default_type, std::string_view doc) {
    Field field = component(std::move(name), "codec", std::move(default_type), doc);
    field.needed = needed;
    return field;
  };
  return table("codec", "stored form of keys and of values: `k` and `v`, or `joint`",
               {plane("k", Needed::unless_joint, "fp16", "stored form of keys, of each KV head"),
                plane("v", Needed::unless_joint, "fp16", "stored form of values, of each KV head"),
                plane("joint", Needed::if_given, "",
                      "stored form of keys and values side by side, of all heads that decide together")});
}

/// Changes nothing in a run.
Field about() {
  const auto said = [](std::string name, std::string_view doc) {
    return text(std::move(name), "", {.doc = doc});
  };
  return table("about", "where the system is from, and how near to that it is; see `kvreplay list systems`",
               {said("source", "the paper or the code that it is from"),
                integer("year", 0, {.doc = "of its publication; 0: none", .min = 0, .max = 9999}),
                said("faithful", "what is as in the source"),
                said("chosen", "what is chosen here: where the source is silent, or otherwise than it says"),
                said("left_out", "what of the source is not there, and what of it was not read"),
                said("held_to", "the tests or experiments that hold it, and to whose figures")});
}

Field system() {
  return table(
      "system", "a named composition of policies",
      {text("name", "", {.doc = "name of the system in results"}), about(),
       text("heads", "each",
            {.doc = "which KV heads of a layer decide together. together: they share units, live "
                    "entries and choices; an entry is all of a token's, side by side. What is "
                    "theirs together, units "
                    "and hits, stands in the results of each of them",
             .choices = "each|together"}),
       text("positions", "absolute",
            {.doc = "by which position keys are rotated when they are attended to and scored one by "
                    "one. absolute: their token's; slot: their place among the entries that no stage "
                    "has removed. What clusterings and scorers keep of keys is of keys as they are "
                    "stored, and so is the truth",
             .choices = "absolute|slot",
             .source = "StreamingLLM, ICLR'24, sec. 3.2"}),
       component("clustering", "clustering"), stages(), codec(), tiers(),
       needed(Needed::on_flash, "layout", "token_order"),
       needed(Needed::over_lower_tier, "replacement", "none"), cache(), dram(), representatives(),
       component("schedule", "schedule", "serial")});
}

Field turn() {
  const auto tokens = [](std::string name, std::string_view doc) {
    return integer(std::move(name), 0, {.doc = doc, .unit = "tokens", .min = 0, .max = bounds::kEntries});
  };
  return table(
      "turn", "what some sequences do next: one of decode, prefill, fork and drop",
      {tokens("decode", "so many tokens of the trace are decoded, step by step, in each"),
       tokens("prefill",
              "so many tokens of the trace are read in, in each, as a further message is: all "
              "that is live is attended to, no stage selects, those of prefill_end evict"),
       integer("fork", -1,
               {.doc = "they begin here, as this sequence is, which has decoded nothing so far: their traces "
                       "agree with its up to here, what it has on flash is theirs too, and offsets count "
                       "for nothing; -1: they do not",
                .unit = "sequence",
                .min = -1,
                .max = 63}),
       boolean("drop", false, "they end, and what was theirs is free"),
       numbers("sequences", {.doc = "which: numbers and ranges in the order of workload.sequences, as "
                                    "0, 1..2 or 3..; all: those that have begun and not ended",
                             .unit = "sequences"})});
}

Field workload() {
  return table(
      "workload", "which sequences decode together, and what comes between",
      {{.name = "sequences",
        .shape = Shape::list,
        .doc = "sequences that take their steps together and share weights, memory and flash, each with "
               "entries of its own; none given: trace.path alone",
        .fields = {table(
            "sequence", "one of them",
            {path("trace", {.doc = "its kvtrace file, of the model and the captured heads of the "
                                   "others; none: trace.path"}),
             integer("offset", 0,
                     {.doc = "steps further on in its trace that it begins than run.first_step",
                      .unit = "steps",
                      .min = 0,
                      .max = bounds::kInteger})})},
        .min_items = 0,
        .max_items = 64},
       {.name = "turns",
        .shape = Shape::list,
        .doc =
            "what sequences do after their prompts, one turn after another; none given: all decode as many "
            "steps as run.steps says",
        .fields = {turn()},
        .min_items = 0,
        .max_items = 4096,
        .rule = ListRule::turns},
       text("prefill", "free",
            {.doc = "what it takes to read in prompts and further messages. charged: it is laid on the "
                    "machine before the steps that follow and has metrics of its own; no step's latency "
                    "has it in it",
             .choices = "free|charged"})});
}

Field run() {
  return table(
      "run", "how the replay is carried out",
      {integer("seed", 1, {.doc = "root of every random stream", .min = 0, .max = bounds::kInteger}),
       shaped("seeds", Shape::seeds,
              "a number: every point is run over so many seeds, `seed` and those that follow; a list: over "
              "these"),
       integer("threads", 1, {.doc = "worker threads; results do not depend on it", .min = 1, .max = 256}),
       integer("first_step", 0,
               {.doc = "first decode step replayed", .unit = "steps", .min = 0, .max = bounds::kInteger}),
       integer("steps", 0,
               {.doc = "decode steps replayed; 0: all", .unit = "steps", .min = 0, .max = bounds::kInteger}),
       value("working_set", ValueType::real, 0.0,
             {.doc = "flash over which requests are spread; 0B: the space that the layouts occupy",
              .unit = "bytes",
              .quantity = Quantity::bytes,
              .min = 0,
              .max = bounds::kBytes,
              .unlimited = true}),
       text(
           "check", "end",
           {.doc = "when the replay proves that units, places on flash and caches are consistent; every_step "
                   "takes longer and says in which step a policy went wrong first",
            .choices = "end|every_step"})});
}

Field span() {
  return table("span",
               "neighbouring entries, as those of a fact that the text tells: what attention they get "
               "and what of it is attended to is recorded apart, as span_true_mass and span_mass",
               {integer("first", 0,
                        {.doc = "position of the first, in every sequence",
                         .unit = "tokens",
                         .min = 0,
                         .max = bounds::kEntries}),
                integer("tokens", 0,
                        {.doc = "how many; 0: nothing is recorded",
                         .unit = "tokens",
                         .min = 0,
                         .max = bounds::kEntries})});
}

Field units() {
  const auto which = [](std::string name, std::string_view doc, std::string_view unit) {
    return numbers(std::move(name), {.doc = doc, .unit = unit});
  };
  Field steps =
      which("steps",
            "numbers and ranges, as 100..120 or 0,5, counted from the first step replayed; a number "
            "or range in place of the map says this alone",
            "steps");
  steps.spec.info.required = true;
  Field field = table(
      "units",
      "what stages choose, unit by unit, in some steps: entries, scores, what was found where and what was "
      "read from flash for it, for `kvreplay inspect` and under /unit_record in the results; not given: "
      "nothing",
      {std::move(steps), which("layers", "layers of the model, of those captured", "layers"),
       which("heads", "KV heads of the model, of those captured", "heads"),
       which("sequences", "in the order of workload.sequences", "sequences")});
  field.needed = Needed::if_given;
  field.shorthand = "steps";
  return field;
}

Field record() {
  return table(
      "record", "what is kept in the results",
      {boolean("per_step", true, "write the metrics of every step, layer and head; false: summaries only"),
       boolean("host_timing", true, "times of the kernels on this host"), span(), units()});
}

Field root() {
  return table(
      "", "a kvreplay configuration",
      {shaped("include", Shape::include,
              "files this one builds on, relative to it; later ones win, this one over all"),
       text("name", "", {.doc = "name of the experiment; the file's stem where none is given"}),
       text("description", "", {.doc = "what it is about"}),
       table("trace", "the captured sequence that is replayed",
             {path("path", {.doc = "kvtrace file, relative to the file that names it", .required = true}),
              integer(
                  "sequences", 1,
                  {.doc = "sequences that decode together, each a copy of this one with entries of its own: "
                          "weights are read once for all, everything else is done for each; with "
                          "workload.sequences, copies of each of those",
                   .unit = "sequences",
                   .min = 1,
                   .max = 4096})}),
       component("model", "model", "decoder"), component("phone", "phone"), component("device", "device"),
       system(), workload(), run(), record(),
       shaped("points", Shape::overlays, "named variants, each laid on the rest of the file"),
       shaped("sweep", Shape::axes,
              "values per dotted key, files for `device`, `model`, `phone` and `system`, or named `points`; "
              "every "
              "combination is a point, the last key fastest, but where `when` says no"),
       shaped("zip", Shape::axes, "values per dotted key, lists of one length, taken together")});
}

}  // namespace

const Field* Field::find(std::string_view wanted) const {
  const auto found = std::ranges::find(fields, wanted, &Field::name);
  return found == fields.end() ? nullptr : &*found;
}

const Field& root_grammar() {
  static const Field grammar = root();
  return grammar;
}

std::string_view kind_doc(std::string_view kind) {
  const auto found = std::ranges::find(kKindDocs, kind, &KindDoc::kind);
  return found == kKindDocs.end() ? "" : found->doc;
}

bool is_composition(const Field& field) {
  return field.shape == Shape::include || field.shape == Shape::overlays || field.shape == Shape::axes ||
         field.shape == Shape::seeds;
}

}  // namespace kvr::config
