#pragma once
#include "fovea/graph.h"
namespace fovea {
Value relu(const Value& x, std::string_view name = {});
}
