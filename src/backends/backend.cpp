#include "backends/backend.h"

#include "backends/cpu/cpu.h"
#include "backends/reference/reference.h"

namespace fovea {

const Backend& find_backend(std::string_view name) {
    if (name == "reference") return reference_backend();
    if (name == "cpu") return cpu_backend();
    fail<ArgumentError>("no backend '{}'; there are: cpu, reference", name);
}

}  // namespace fovea
