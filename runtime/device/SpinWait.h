// The first half of every wait in the runtime: a short spin, before a thread gives up its core.
//
// The gaps between two launches, or between two ranks reaching the same exchange, are a few
// microseconds; waking a parked thread costs tens. A spin that lasts longer than the gaps is
// therefore cheaper than sleeping, unless there are more threads than cores: then it steals the
// time of those waited for, and callers pass 0.
#ifndef EPIGRAPH_RUNTIME_DEVICE_SPINWAIT_H
#define EPIGRAPH_RUNTIME_DEVICE_SPINWAIT_H

namespace epigraph {

/// Pauses that spin for about 0.2 ms.
inline constexpr int kLongSpin = 20000;
/// Pauses that spin for about 20 us: for waits on a thread that is known to be running.
inline constexpr int kShortSpin = 2000;

inline void pauseCpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Spins until `ready()` or for `pauses`; returns whether it is ready.
template <typename Ready> bool spinUntil(int pauses, Ready ready) {
  for (int i = 0; i < pauses; ++i) {
    if (ready())
      return true;
    pauseCpu();
  }
  return ready();
}

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_SPINWAIT_H
