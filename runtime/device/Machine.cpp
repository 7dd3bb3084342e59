// Every number has a range: a description is read before anything is sized by it.
#include "runtime/device/Machine.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/str_join.h"

#include "runtime/base/Json.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMaxFeatures = 512;
constexpr uint64_t kMaxBytes = uint64_t{1} << 50;

bool isName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes &&
         std::isalnum(static_cast<unsigned char>(text.front())) &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '.' || c == '-' || c == '_';
         });
}

/// Reads one object of the file, and refuses keys that were never asked for with those that were.
class Reader {
public:
  explicit Reader(JsonObject object) : object_(std::move(object)) {}

  void name(const char *key, std::string &out, bool required = true) {
    keys_.push_back(key);
    if (!required && !object_.has(key))
      return;
    object_.read(key, out);
    if (object_.ok() && !isName(out))
      object_.fail(key, absl::StrCat("expected 1 to ", kMaxNameBytes,
                                     " letters, digits and \".-_\", starting with a letter or "
                                     "digit"));
  }

  void names(const char *key, std::vector<std::string> &out) {
    keys_.push_back(key);
    object_.readOptional(key, out);
    if (object_.ok() && (out.size() > kMaxFeatures || !std::all_of(out.begin(), out.end(), isName)))
      object_.fail(key, absl::StrCat("expected at most ", kMaxFeatures, " names"));
  }

  template <typename T> void integer(const char *key, T &out, uint64_t min, uint64_t max) {
    keys_.push_back(key);
    if (!object_.has(key))
      return;
    uint64_t value = 0;
    object_.read(key, value);
    if (object_.ok() && (value < min || value > max))
      object_.fail(key, absl::StrCat("expected ", min, " to ", max, ", found ", value));
    else
      out = static_cast<T>(value);
  }

  /// A rate: from a millionth to a billion of its unit.
  void rate(const char *key, double &out) {
    keys_.push_back(key);
    if (!object_.has(key))
      return;
    object_.read(key, out);
    if (object_.ok() && !(out >= 1e-6 && out <= 1e9))
      object_.fail(key, absl::StrCat("expected 1e-6 to 1e9, found ", out));
  }

  template <typename Visit> void group(const char *key, bool required, Visit visit) {
    keys_.push_back(key);
    if (!required && !object_.has(key))
      return;
    Reader inner(object_.object(key));
    visit(inner);
    inner.finish();
  }

  void finish() {
    for (const auto &[key, value] : object_.value().items())
      if (std::find(keys_.begin(), keys_.end(), key) == keys_.end())
        object_.fail(key,
                     absl::StrCat("unknown key; expected one of ", absl::StrJoin(keys_, ", ")));
  }

private:
  JsonObject object_;
  std::vector<std::string> keys_;
};

void readIsa(Reader &isa, Machine &machine) {
  isa.name("base", machine.base);
  isa.names("features", machine.features);
  isa.name("tune", machine.tune, /*required=*/false);
  isa.integer("vector_bits", machine.vectorBits, 128, 2048);
  isa.integer("vector_registers", machine.vectorRegisters, 8, 512);
}

void readMachine(Reader &file, Machine &machine) {
  file.name("name", machine.name);
  file.group("isa", true, [&](Reader &isa) { readIsa(isa, machine); });
  file.integer("cores", machine.cores, 1, 65536);
  file.group("caches", false, [&](Reader &caches) {
    caches.integer("l1_bytes", machine.l1Bytes, 1 << 10, kMaxBytes);
    caches.integer("l2_bytes", machine.l2Bytes, 1 << 10, kMaxBytes);
    caches.integer("l3_bytes", machine.l3Bytes, 1 << 10, kMaxBytes);
  });
  file.group("memory", false, [&](Reader &memory) {
    memory.integer("bytes", machine.memoryBytes, 1 << 20, kMaxBytes);
    memory.rate("gbps", machine.memoryGbps);
  });
  file.group("peak", false, [&](Reader &peak) {
    peak.rate("f32_gflops", machine.f32Gflops);
    peak.rate("bf16_gflops", machine.bf16Gflops);
  });
  file.integer("launch_ns", machine.launchNs, 1, 1'000'000'000);
  file.group("links", false, [&](Reader &links) {
    links.rate("gbps", machine.linkGbps);
    links.integer("latency_ns", machine.linkLatencyNs, 1, 1'000'000'000);
    links.rate("host_gbps", machine.hostGbps);
  });
  file.names("libraries", machine.libraries);
  file.finish();
}

template <typename T> void add(nlohmann::ordered_json &object, const char *key, const T &value) {
  if (value != T())
    object[key] = value;
}

} // namespace

absl::StatusOr<Machine> parseMachine(std::string_view json, std::string_view source) {
  EPIGRAPH_ASSIGN_OR_RETURN(const nlohmann::json value, parseJson(json, source));
  absl::Status status;
  Machine machine;
  Reader file(JsonObject(value, std::string(source), &status));
  readMachine(file, machine);
  EPIGRAPH_RETURN_IF_ERROR(status);
  return machine;
}

std::string printMachine(const Machine &machine) {
  using Json = nlohmann::ordered_json;
  Json isa, caches, memory, peak, links, file;
  add(isa, "base", machine.base);
  add(isa, "features", machine.features);
  add(isa, "tune", machine.tune);
  add(isa, "vector_bits", machine.vectorBits);
  add(isa, "vector_registers", machine.vectorRegisters);
  add(caches, "l1_bytes", machine.l1Bytes);
  add(caches, "l2_bytes", machine.l2Bytes);
  add(caches, "l3_bytes", machine.l3Bytes);
  add(memory, "bytes", machine.memoryBytes);
  add(memory, "gbps", machine.memoryGbps);
  add(peak, "f32_gflops", machine.f32Gflops);
  add(peak, "bf16_gflops", machine.bf16Gflops);
  add(links, "gbps", machine.linkGbps);
  add(links, "latency_ns", machine.linkLatencyNs);
  add(links, "host_gbps", machine.hostGbps);
  file["name"] = machine.name;
  file["isa"] = isa;
  add(file, "cores", machine.cores);
  add(file, "caches", caches);
  add(file, "memory", memory);
  add(file, "peak", peak);
  add(file, "launch_ns", machine.launchNs);
  add(file, "links", links);
  add(file, "libraries", machine.libraries);
  return file.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

} // namespace epigraph
