// What compute capability 9.0 adds: barriers in shared memory that count bytes, copies by tensor
// map, matrix products of a warpgroup. And the matrix products of a warp, which are older.
//
// Layouts of fragments are PTX's (PTX ISA, "Matrix Fragments for wgmma"): in a 64xN float32
// accumulator, register 4 j + 2 h + e of thread t holds row 16 w + t % 32 / 4 + 8 h and column
// 8 j + 2 (t % 4) + e, where w is the thread's warp in the warpgroup.
#ifndef EPIGRAPH_CODEGEN_CUDA_HOPPER_H
#define EPIGRAPH_CODEGEN_CUDA_HOPPER_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

// Barriers in shared memory: 8 bytes each, aligned to 8.

void initBarrier(Val barrier, int64_t arrivals);
/// After the last initBarrier, by the thread that made them, before the block meets.
void fenceBarrierInit(Emitter &e);
/// Arrives, and makes the phase wait for `bytes` that copies will bring.
void expectBytes(Val barrier, Val bytes);
void arrive(Val barrier);
/// Arrives at the barrier at the same place in block `rank` of the cluster.
void arriveAtCluster(Val barrier, Val rank);
/// Waits until the phase of `parity` (i32, 0 or 1) has ended. Loads are not moved above it.
void wait(Val barrier, Val parity);

/// A place in a ring of `stages` buffers: the stage and the parity of its current round.
struct RingPlace {
  Val stage, parity;
};
RingPlace nextPlace(RingPlace place, int64_t stages);

// Copies by tensor map. `map` is the kernel's parameter; coordinates are innermost first.

/// Fetches a box into shared memory at `target` (aligned to 128; 1024 where swizzled by 128) and
/// counts its bytes at `barrier`: of every block of the cluster that has a bit in `blocks` (i16),
/// if not null. `policy`: as evictFirst, or null.
void copyBoxIn(Val target, Val map, llvm::ArrayRef<Val> coordinates, Val barrier, Val blocks = {},
               Val policy = {});
/// A policy (i64) for what is read once: the second-level cache gives its place away first.
Val evictFirst(Emitter &e);
/// Fetches a box into the second-level cache alone.
void prefetchBox(Val map, llvm::ArrayRef<Val> coordinates);
/// Stores a box from shared memory.
void copyBoxOut(Val map, Val source, llvm::ArrayRef<Val> coordinates);
void commitCopies(Emitter &e);
/// Until at most `pending` of this thread's committed groups are under way; `readOnly`: until they
/// have been read from shared memory.
void waitForCopies(Emitter &e, int64_t pending, bool readOnly);
void prefetchMap(Val map);
/// Makes ordinary stores to shared memory visible to copies and wgmma.
void fenceAsyncShared(Emitter &e);

// Clusters.

Val clusterRank(Emitter &e);
/// All threads of the cluster meet, and see what others have written before.
void clusterSync(Emitter &e);
/// All threads of the cluster meet; what is under way is not waited for.
void clusterMeet(Emitter &e);
/// The address of `pointer` (shared memory) in block `rank` of the cluster.
Val inCluster(Val pointer, Val rank);

// wgmma. Operands in shared memory are described by 64-bit descriptors, with a swizzle of 128
// bytes.

enum class MatrixType { BF16, E4M3 };

/// K-major (rows of 128 bytes along K, groups of 8 rows 1024 bytes apart) at the 32-bit shared
/// address `address`. A step of 32 bytes along K adds 2.
Val descriptor(Val address);
/// MN-major, of bf16: rows of 64 elements along M or N, groups of 8 along K 1024 bytes apart;
/// the next 64 elements along M or N are `stride` bytes on. A step of 16 along K adds 2048 / 16.
Val descriptorTransposed(Val address, int64_t stride);

/// A 64 x N float32 accumulator: N / 2 registers of each thread.
struct Accumulator {
  Vals registers;
  int64_t columns() const { return static_cast<int64_t>(registers.size()) * 2; }
};

/// An accumulator without a value: the first product into it must overwrite it. (Zeroed registers
/// would make ptxas run all products one after the other.)
Accumulator undefinedAccumulator(Emitter &e, int64_t columns);
/// acc (+)= a b^T over one step of K (16 of bf16, 32 of e4m3). `accumulate`: add to it.
void multiply(Accumulator &acc, Val a, Val b, MatrixType type, bool accumulate);
/// The same, with an i32 that says at run time whether to add.
void multiply(Accumulator &acc, Val a, Val b, MatrixType type, Val accumulate);
/// bf16 with `a` in registers (4 of i32: the layout of the accumulator, packed by pairs);
/// `transposedB`: b is MN-major.
void multiplyRegisters(Accumulator &acc, llvm::ArrayRef<Val> a, Val b, bool accumulate,
                       bool transposedB);
/// Before the first product after registers of the accumulator or of A were written, or after a
/// wait on a barrier.
void fenceProducts(Emitter &e);
void commitProducts(Emitter &e);
/// Until at most `pending` committed groups are under way.
void waitForProducts(Emitter &e, int64_t pending);
/// Ties uses of the accumulator to this point: nothing else does after waitForProducts.
void pin(Accumulator &acc);

// Registers of a warpgroup: `count` is a multiple of 8. All its warps must do it.
void raiseRegisters(Emitter &e, int64_t count);
void lowerRegisters(Emitter &e, int64_t count);

// Products of a warp: D += A B^T, A [16 x 16], B [8 x 16] of bf16, D [16 x 8] of float32.

/// `a`: 4 of i32, `b`: 2, `acc`: 4 of f32. Layouts: PTX ISA, mma.m16n8k16.
Vals multiplyWarp(llvm::ArrayRef<Val> acc, llvm::ArrayRef<Val> a, llvm::ArrayRef<Val> b);
/// The same with e4m3: A [16 x 32], B [8 x 32], mma.m16n8k32.
Vals multiplyWarpE4m3(llvm::ArrayRef<Val> acc, llvm::ArrayRef<Val> a, llvm::ArrayRef<Val> b);
/// Four 8x8 matrices of 16-bit elements from shared memory (ldmatrix.x4); lane l gives the address
/// of row l % 8 of matrix l / 8.
Vals loadMatrices(Val address, bool transposed);
/// stmatrix.x4 of four i32; `transposed`: the columns of each matrix become rows in memory.
void storeMatrices(Val address, llvm::ArrayRef<Val> registers, bool transposed = false);
/// cp.async of 16 bytes from global to shared memory; zeroes instead where `valid` is false.
void copyAsync16(Val target, Val source, Val valid);
void commitAsync(Emitter &e);
void waitForAsync(Emitter &e, int64_t pending);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_HOPPER_H
