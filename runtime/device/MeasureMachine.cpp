// Peak rates come from chains of independent multiply-adds on values in registers or in the first
// cache, long enough to hide their latency. They are what kernels are compared with, not what they
// reach.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <thread>

#include "runtime/device/CpuFeatures.h"
#include "runtime/device/ProbeMachine.h"
#include "runtime/device/ThreadPool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace epigraph {
namespace {

using Clock = std::chrono::steady_clock;

double secondsOf(const std::function<void()> &body) {
  const Clock::time_point start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The shortest of the runs that fit into about `budget` seconds, three at least.
double bestSeconds(double budget, const std::function<void()> &body) {
  double best = secondsOf(body), spent = best;
  for (int runs = 1; runs < 3 || (spent < budget && runs < 1000); ++runs) {
    const double seconds = secondsOf(body);
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

/// Three digits: more would say more than a measurement does.
double rounded(double value) {
  double scale = 1;
  while (value * scale < 100)
    scale *= 10;
  return std::round(value * scale) / scale;
}

#if defined(__x86_64__)

/// Multiply-adds of one call of a rate kernel.
constexpr int kIterations = 20000;
constexpr int kChains = 10;

/// Keeps the compiler from leaving out what computed `value`.
template <typename T> void keep(const T &value) { __asm__ volatile("" : : "m"(value) : "memory"); }

/// Each of them returns how many floating-point operations it did.
using RateKernel = double (*)();

__attribute__((target("avx2,fma"))) double f32Avx2() {
  __m256 sums[kChains] = {}, x = _mm256_set1_ps(0.5f), y = _mm256_set1_ps(0.25f);
  for (int i = 0; i < kIterations; ++i) {
    __asm__ volatile("" : "+x"(x));
#pragma clang loop unroll(full)
    for (int chain = 0; chain < kChains; ++chain)
      sums[chain] = _mm256_fmadd_ps(x, y, sums[chain]);
  }
  keep(sums);
  return 2.0 * 8 * kChains * kIterations;
}

__attribute__((target("avx512f"))) double f32Avx512() {
  __m512 sums[kChains] = {}, x = _mm512_set1_ps(0.5f), y = _mm512_set1_ps(0.25f);
  for (int i = 0; i < kIterations; ++i) {
    __asm__ volatile("" : "+v"(x));
#pragma clang loop unroll(full)
    for (int chain = 0; chain < kChains; ++chain)
      sums[chain] = _mm512_fmadd_ps(x, y, sums[chain]);
  }
  keep(sums);
  return 2.0 * 16 * kChains * kIterations;
}

/// Pairs of bf16 are widened by a shift and a mask, as kernels without a bf16 product do it.
__attribute__((target("avx2,fma"))) double bf16Avx2() {
  __m256 sums[kChains] = {};
  __m256i pairs = _mm256_set1_epi32(0x3f003e80);
  const __m256 y = _mm256_set1_ps(0.25f);
  const __m256i high = _mm256_set1_epi32(static_cast<int>(0xffff0000));
  for (int i = 0; i < kIterations; ++i) {
#pragma clang loop unroll(full)
    for (int chain = 0; chain < kChains; chain += 2) {
      __asm__ volatile("" : "+x"(pairs));
      const __m256 odd = _mm256_castsi256_ps(_mm256_and_si256(pairs, high));
      const __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
      sums[chain] = _mm256_fmadd_ps(odd, y, sums[chain]);
      sums[chain + 1] = _mm256_fmadd_ps(even, y, sums[chain + 1]);
    }
  }
  keep(sums);
  return 2.0 * 8 * kChains * kIterations;
}

__attribute__((target("avx512f"))) double bf16Avx512() {
  __m512 sums[kChains] = {};
  __m512i pairs = _mm512_set1_epi32(0x3f003e80);
  const __m512 y = _mm512_set1_ps(0.25f);
  const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000));
  for (int i = 0; i < kIterations; ++i) {
#pragma clang loop unroll(full)
    for (int chain = 0; chain < kChains; chain += 2) {
      __asm__ volatile("" : "+v"(pairs));
      const __m512 odd = _mm512_castsi512_ps(_mm512_and_si512(pairs, high));
      const __m512 even = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
      sums[chain] = _mm512_fmadd_ps(odd, y, sums[chain]);
      sums[chain + 1] = _mm512_fmadd_ps(even, y, sums[chain + 1]);
    }
  }
  keep(sums);
  return 2.0 * 16 * kChains * kIterations;
}

__attribute__((target("avx512f,avx512bf16"))) double bf16Dot() {
  __m512 sums[kChains] = {};
  __m512i bits = _mm512_set1_epi32(0x3f003f00);
  for (int i = 0; i < kIterations; ++i) {
    __asm__ volatile("" : "+v"(bits));
#pragma clang loop unroll(full)
    for (int chain = 0; chain < kChains; ++chain)
      sums[chain] = _mm512_dpbf16_ps(sums[chain], (__m512bh)bits, (__m512bh)bits);
  }
  keep(sums);
  return 4.0 * 16 * kChains * kIterations;
}

/// 10^9 operations a second, all threads of `pool` together.
double measureRate(ThreadPool &pool, RateKernel kernel) {
  const int64_t tiles = pool.threads() * 8;
  const double operations = kernel() * static_cast<double>(tiles);
  const auto body = [](const void *context, int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile)
      (*static_cast<const RateKernel *>(context))();
  };
  return rounded(operations * 1e-9 / bestSeconds(0.15, [&] { pool.run(tiles, body, &kernel); }));
}

void measureRates(ThreadPool &pool, Machine &machine) {
  const auto has = [](std::initializer_list<std::string> features) {
    return requireCpuFeatures(std::vector<std::string>(features)).ok();
  };
  if (!has({"avx2", "fma"}))
    return;
  const bool wide = has({"avx512f"});
  machine.f32Gflops = measureRate(pool, wide ? f32Avx512 : f32Avx2);
  machine.bf16Gflops = measureRate(pool, has({"avx512f", "avx512bf16"}) ? bf16Dot
                                         : wide                         ? bf16Avx512
                                                                        : bf16Avx2);
}

#else

void measureRates(ThreadPool &, Machine &) {}

#endif

/// Bytes that do not fit into the caches, within reason.
size_t streamedBytes(const Machine &machine) {
  return static_cast<size_t>(
      std::clamp<uint64_t>(4 * machine.l3Bytes, uint64_t{64} << 20, uint64_t{256} << 20));
}

double measureMemory(ThreadPool &pool, std::vector<uint64_t> &words) {
  struct Job {
    const uint64_t *words;
    size_t wordsOfTile;
  };
  const int64_t tiles = pool.threads() * 16;
  const Job job{words.data(), words.size() / static_cast<size_t>(tiles)};
  const auto body = [](const void *context, int64_t begin, int64_t end) {
    const Job &job = *static_cast<const Job *>(context);
    const uint64_t *from = job.words + static_cast<size_t>(begin) * job.wordsOfTile;
    const size_t count = static_cast<size_t>(end - begin) * job.wordsOfTile;
    uint64_t sums[16] = {};
    for (size_t i = 0; i + 16 <= count; i += 16)
      for (size_t lane = 0; lane < 16; ++lane)
        sums[lane] += from[i + lane];
    __asm__ volatile("" : : "m"(sums) : "memory");
  };
  const double bytes = 8.0 * static_cast<double>(job.wordsOfTile) * static_cast<double>(tiles);
  return rounded(bytes * 1e-9 / bestSeconds(0.2, [&] { pool.run(tiles, body, &job); }));
}

uint32_t measureLaunch(ThreadPool &pool) {
  constexpr int kLaunches = 500;
  const auto nothing = [](const void *, int64_t, int64_t) {};
  const double seconds = bestSeconds(0.1, [&] {
    for (int i = 0; i < kLaunches; ++i)
      pool.run(pool.threads(), nothing, nullptr);
  });
  return std::max(1u, static_cast<uint32_t>(seconds * 1e9 / kLaunches));
}

/// One rank copies what another has written.
double measureLink(std::vector<uint64_t> &words) {
  const size_t bytes = words.size() / 2 * sizeof(uint64_t);
  uint64_t *to = words.data() + words.size() / 2;
  return rounded(static_cast<double>(bytes) * 1e-9 / bestSeconds(0.1, [&] {
                   std::memcpy(to, words.data(), bytes);
                   __asm__ volatile("" : : "r"(to) : "memory");
                 }));
}

/// Half of the shortest way from one thread to another and back.
uint32_t measureLatency() {
  constexpr int kRounds = 2000;
  std::atomic<int> turn{0};
  double best = 1;
  std::thread other([&] {
    for (int i = 0; i < kRounds; ++i) {
      while (turn.load(std::memory_order_acquire) != 2 * i + 1)
        std::this_thread::yield();
      turn.store(2 * i + 2, std::memory_order_release);
    }
  });
  for (int i = 0; i < kRounds; ++i)
    best = std::min(best, secondsOf([&] {
                      turn.store(2 * i + 1, std::memory_order_release);
                      while (turn.load(std::memory_order_acquire) != 2 * i + 2)
                        std::this_thread::yield();
                    }));
  other.join();
  return std::max(1u, static_cast<uint32_t>(best * 1e9 / 2));
}

} // namespace

void measureMachine(Machine &machine) {
  ThreadPool pool(static_cast<int>(std::max(1u, machine.cores)), /*spin=*/true);
  measureRates(pool, machine);
  std::vector<uint64_t> words(streamedBytes(machine) / sizeof(uint64_t), 1);
  machine.memoryGbps = measureMemory(pool, words);
  machine.launchNs = measureLaunch(pool);
  machine.linkGbps = measureLink(words);
  machine.linkLatencyNs = measureLatency();
}

} // namespace epigraph
