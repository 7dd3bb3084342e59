// What compute-sanitizer's racecheck follows: two warps hand numbers over through shared memory, in rounds, ordered by
//   0: bar.arrive of the warp that goes on, and bar.sync of the one that waits: hazards by 2025.3, none by 2026.4;
//   1: mbarriers at which all lanes arrive: none;
//   2: mbarriers at which one lane arrives, after bar.warp.sync: hazards by both.
// All three are correct. nvcc -std=c++17 -arch=sm_90a racecheck-handover.cu -o handover &&
//   compute-sanitizer --tool racecheck ./handover FORM
#include <cstdio>
#include <cstdlib>

namespace {

__device__ void arrive(unsigned barrier) {
  asm volatile("{ .reg .b64 state; mbarrier.arrive.shared.b64 state, [%0]; }" ::"r"(barrier)
               : "memory");
}

__device__ void wait(unsigned barrier, unsigned parity) {
  asm volatile("{ .reg .pred done; again: mbarrier.try_wait.parity.shared.b64 done, [%0], %1; "
               "@!done bra again; }" ::"r"(barrier),
               "r"(parity)
               : "memory");
}

template <int kForm>
__global__ void handOver(int *sums) {
  constexpr int kRounds = 4;
  __shared__ int numbers[32];
  __shared__ unsigned long long barriers[2];
  const unsigned full = static_cast<unsigned>(__cvta_generic_to_shared(barriers)), empty = full + 8;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (threadIdx.x < 2)
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(full + 8 * threadIdx.x),
                 "r"(kForm == 2 ? 1 : 32)
                 : "memory");
  __syncthreads();
  auto tell = [&](unsigned barrier) {
    if (kForm == 2)
      __syncwarp();
    if (kForm == 1 || lane == 0)
      arrive(barrier);
  };
  int sum = 0;
  for (int round = 0; round < kRounds; ++round) {
    if (warp == 0) {
      if (kForm != 0)
        wait(empty, (round & 1) ^ 1);
      else if (round > 0)
        asm volatile("bar.sync 2, 64;" ::: "memory");
      numbers[lane] = round + lane;
      if (kForm != 0)
        tell(full);
      else
        asm volatile("bar.arrive 1, 64;" ::: "memory");
    } else {
      if (kForm != 0)
        wait(full, round & 1);
      else
        asm volatile("bar.sync 1, 64;" ::: "memory");
      sum += numbers[31 - lane];
      if (kForm != 0)
        tell(empty);
      else if (round + 1 < kRounds)
        asm volatile("bar.arrive 2, 64;" ::: "memory");
    }
  }
  if (warp == 1)
    sums[lane] = sum;
}

} // namespace

int main(int argc, char **argv) {
  int *sums;
  cudaMalloc(&sums, 32 * sizeof(int));
  switch (argc > 1 ? std::atoi(argv[1]) : 0) {
  case 0: handOver<0><<<1, 64>>>(sums); break;
  case 1: handOver<1><<<1, 64>>>(sums); break;
  default: handOver<2><<<1, 64>>>(sums);
  }
  const cudaError_t error = cudaDeviceSynchronize();
  std::printf("%s\n", cudaGetErrorString(error));
  return error == cudaSuccess ? 0 : 1;
}
