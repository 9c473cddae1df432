// What a run was made with and on: for config.json and the report.
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "train/facts.h"

namespace fovea {

namespace {

/// "model name : Intel(R) ..." of the first processor; empty where the system does not say.
std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name")) {
            const std::size_t colon = line.find(": ");
            return colon == std::string::npos ? "" : line.substr(colon + 2);
        }
    return {};
}

}  // namespace

Json build_facts() {
#ifdef NDEBUG
    constexpr bool has_asserts = false;
#else
    constexpr bool has_asserts = true;
#endif
#ifdef __clang__
    const std::string compiler = __VERSION__;
#else
    const std::string compiler = "GCC " __VERSION__;
#endif
    return {{"fovea", FOVEA_VERSION}, {"compiler", compiler}, {"asserts", has_asserts}};
}

Json machine_facts() {
    Json facts{{"processor", processor_name()}, {"cores", ::sysconf(_SC_NPROCESSORS_ONLN)}, {"memory_bytes", static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE)}};
    utsname system{};
    if (::uname(&system) == 0) facts["system"] = std::string(system.sysname) + " " + system.release + " " + system.machine;
    return facts;
}

}  // namespace fovea
