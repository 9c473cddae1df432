// What our own convolutions do to a sum before they store it: an activation, in registers.
#pragma once

#include <cstdint>

namespace fovea::cpu {

struct Epilogue {
    enum class Kind { none, relu, leaky_relu, relu6, sigmoid, hard_sigmoid, silu, hard_swish };
    Kind kind = Kind::none;
    float parameter = 0;  ///< leaky_relu's slope, silu's beta
};

}  // namespace fovea::cpu
