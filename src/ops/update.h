// What the optimiser updates share: operands p, g, then scalars and state of p's shape; outputs p' and the new state.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

/// An update p' = f(p, g, lr, ...): operands `scalars` are of shape [], operands `state` (where present) of p's shape; one output of
/// p's type for p and for each present state, in the order of the operands. No gradient: an update is where a training step ends.
inline OpDef update_op(std::string name, std::initializer_list<int> scalars, std::initializer_list<int> state, std::int64_t operations, std::function<void(const OpRun&)> loops) {
    OpDef op;
    op.name = std::move(name);
    op.shape = [a = std::vector<int>(scalars), b = std::vector<int>(state)](const OpInputs& in) {
        in.check<ArgumentError>(in.has(0) && in.has(1) && in.has(2), "needs at least the parameter, its gradient and the learning rate");
        in.check(in.shape(1) == in.shape(0), "the gradient is {}, the parameter {}", in.shape(1), in.shape(0));
        for (int i : a)
            if (in.has(i)) in.check(in.shape(i).rank() == 0, "operand {} is a scalar [], got {}", i, in.shape(i));
        Types types{in.type(0)};
        for (int i : b) {
            if (!in.has(i)) continue;
            in.check(in.shape(i) == in.shape(0), "state {} is {}, the parameter {}", i, in.shape(i), in.shape(0));
            types.push_back(in.type(0));
        }
        return types;
    };
    op.cost = [operations](const OpInputs& in) { return Cost{0, operations * in.shape(0).elements()}; };
    op.reference = std::move(loops);
    op.is_elementwise = true;
    return op;
}

/// The weight decay every update starts with: decoupled (p shrinks by lr * decay) or L2 (decay * p joins the gradient).
template <class T> struct Decay {
    Decay(const Attrs& attrs, T lr) {
        const T decay = static_cast<T>(attrs.real("weight_decay", 0));
        (attrs.flag("decoupled") ? keep : l2) = attrs.flag("decoupled") ? 1 - lr * decay : decay;
    }
    T keep = 1, l2 = 0;
};

}  // namespace fovea
