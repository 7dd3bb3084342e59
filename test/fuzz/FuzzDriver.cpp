// A main for fuzz targets where there is no libFuzzer: replays a kept corpus, then seeded mutations
// of it, so that CTest runs every target the same way each time, with or without sanitizers. The
// targets have libFuzzer's entry point: link one with -fsanitize=fuzzer instead of this file to
// search further, and keep what it finds in corpus/.
//
//   TARGET [--mutations N] [--seconds S] FILE_OR_FOLDER...
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

struct Options {
  uint64_t mutations = 20'000;
  double seconds = 4; ///< for mutations; the corpus is always replayed whole
  std::vector<std::filesystem::path> files;
};

void addFiles(const std::filesystem::path &path, std::vector<std::filesystem::path> &files) {
  if (!std::filesystem::is_directory(path)) {
    files.push_back(path);
    return;
  }
  for (const auto &entry : std::filesystem::recursive_directory_iterator(path))
    if (entry.is_regular_file())
      files.push_back(entry.path());
}

Options parseOptions(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--mutations" && i + 1 < argc)
      options.mutations = std::strtoull(argv[++i], nullptr, 10);
    else if (argument == "--seconds" && i + 1 < argc)
      options.seconds = std::strtod(argv[++i], nullptr);
    else
      addFiles(argument, options.files);
  }
  // A folder lists its files in any order; mutations depend on it.
  std::sort(options.files.begin(), options.files.end());
  return options;
}

/// Changes inputs; the same seed gives the same changes with any standard library.
class Mutator {
public:
  explicit Mutator(const std::vector<Input> &corpus) : corpus_(corpus) {}

  Input next() {
    Input input = corpus_[below(corpus_.size())];
    for (uint64_t changes = 1 + below(6); changes > 0; --changes)
      change(input);
    return input;
  }

private:
  uint64_t below(uint64_t bound) { return random_() % bound; }
  size_t position(const Input &input) { return below(input.size() + 1); }

  void change(Input &input) {
    switch (input.empty() ? 3 : below(7)) {
    case 0:
      input[below(input.size())] ^= 1u << below(8);
      return;
    case 1: { // Values at the borders of what sizes and characters can be.
      constexpr uint8_t kBorders[] = {0, 1, 0x7f, 0x80, 0xff, '"', '\\', '{', '[', '9', '-', 'e'};
      input[below(input.size())] = kBorders[below(std::size(kBorders))];
      return;
    }
    case 2:
      input.resize(below(input.size()));
      return;
    case 3: {
      Input bytes(1 + below(8));
      for (uint8_t &byte : bytes)
        byte = static_cast<uint8_t>(below(256));
      input.insert(input.begin() + position(input), bytes.begin(), bytes.end());
      return;
    }
    case 4: {
      size_t begin = below(input.size());
      size_t count = std::min<size_t>(1 + below(32), input.size() - begin);
      input.erase(input.begin() + begin, input.begin() + begin + count);
      return;
    }
    case 5: { // A piece of itself, elsewhere.
      size_t begin = below(input.size());
      Input piece(input.begin() + begin,
                  input.begin() + begin + std::min<size_t>(1 + below(64), input.size() - begin));
      input.insert(input.begin() + position(input), piece.begin(), piece.end());
      return;
    }
    default: { // The end of another.
      const Input &other = corpus_[below(corpus_.size())];
      input.resize(position(input));
      input.insert(input.end(), other.begin() + position(other), other.end());
      return;
    }
    }
  }

  const std::vector<Input> &corpus_;
  std::mt19937_64 random_{20240229};
};

std::vector<Input> readCorpus(const std::vector<std::filesystem::path> &files) {
  std::vector<Input> corpus;
  for (const std::filesystem::path &path : files) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
      std::fprintf(stderr, "cannot read %s\n", path.c_str());
    else
      corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

} // namespace

int main(int argc, char **argv) {
  Options options = parseOptions(argc, argv);
  std::vector<Input> corpus = readCorpus(options.files);
  if (corpus.empty() || corpus.size() != options.files.size()) {
    std::fprintf(stderr, "expected files of a corpus; none or not all could be read\n");
    return EXIT_FAILURE;
  }
  for (const Input &input : corpus)
    LLVMFuzzerTestOneInput(input.data(), input.size());
  Mutator mutator(corpus);
  auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
  uint64_t done = 0;
  while (done < options.mutations && std::chrono::steady_clock::now() < end) {
    // An exact copy on the heap, so that a sanitizer sees reads beyond the end.
    Input input = mutator.next();
    input.shrink_to_fit();
    LLVMFuzzerTestOneInput(input.data(), input.size());
    ++done;
  }
  std::printf("%zu files of the corpus, %llu mutations\n", corpus.size(),
              static_cast<unsigned long long>(done));
  return EXIT_SUCCESS;
}
