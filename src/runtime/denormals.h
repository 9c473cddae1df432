#pragma once

#if defined(__SSE__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace fovea {

/// While it lives, this thread treats numbers below 1.2e-38 as zero. Gradients of dying units are full of them, and one operation on such
/// a number costs a hundred cycles; nothing a network computes depends on them. The caller's setting comes back afterwards.
class FlushDenormals {
public:
#if defined(__SSE__) || defined(_M_X64)
    FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }  // flush to zero, denormals are zero
    ~FlushDenormals() { _mm_setcsr(before_); }
#else
    FlushDenormals() = default;
#endif
    FlushDenormals(const FlushDenormals&) = delete;
    FlushDenormals& operator=(const FlushDenormals&) = delete;

private:
    [[maybe_unused]] unsigned before_ = 0;
};

}  // namespace fovea
