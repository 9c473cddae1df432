// MPI on demand. Its libraries take milliseconds to load, so they hang on a module of their own (src/comm/mpi) that is opened only where
// mpirun started the process.
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "comm/module.h"
#include "core/text.h"

namespace fovea {

namespace {

/// One process.
class OneRank final : public Communicator {
public:
    [[nodiscard]] int rank() const override { return 0; }
    [[nodiscard]] int size() const override { return 1; }
    void start_sum(std::span<std::byte>, DType) override {}
    void finish_sum(const std::byte*) override {}
    void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override { std::copy(mine.begin(), mine.end(), all.begin()); }
    void broadcast(std::span<std::byte>, int) override {}
    void barrier() override {}
    [[noreturn]] void abort(int code) noexcept override { std::_Exit(code); }
};

/// Where the module may lie, best first: as told, beside an installed program, where this build installs it, where this build made it.
std::vector<std::filesystem::path> places() {
    std::vector<std::filesystem::path> result;
    if (const char* told = std::getenv("FOVEA_MPI_MODULE")) result.emplace_back(told);
    std::error_code ignored;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
    result.push_back(program.parent_path() / ".." / FOVEA_LIBRARY_FOLDER / "fovea" / FOVEA_MPI_MODULE_NAME);
    result.push_back(std::filesystem::path(FOVEA_INSTALLED_LIBRARIES) / "fovea" / FOVEA_MPI_MODULE_NAME);
    result.push_back(std::filesystem::path(FOVEA_BUILD_FOLDER) / FOVEA_MPI_MODULE_NAME);
    return result;
}

std::filesystem::path module_path() {
    std::error_code ignored;
    for (const auto& path : places())
        if (std::filesystem::exists(path, ignored)) return path;
    return {};
}

template <class F> F* symbol(void* module, const char* name) { return reinterpret_cast<F*>(::dlsym(module, name)); }

}  // namespace

bool is_started_by_mpi() {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"})
        if (std::getenv(name) != nullptr) return true;
    return false;
}

std::string lacks_mpi() {
    return module_path().empty() ? "fovea was built without MPI: install libopenmpi-dev and openmpi-bin, then configure and build again" : "";
}

std::unique_ptr<Communicator> open_communicator() {
    if (!is_started_by_mpi()) return std::make_unique<OneRank>();
    const std::filesystem::path path = module_path();
    require(!path.empty(), "this process is a rank that mpirun started, but {}", lacks_mpi());
    // Global, because Open MPI's own plug-ins look for its symbols there.
    void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    const char* trouble = module == nullptr ? ::dlerror() : nullptr;
    require(module != nullptr, "MPI cannot be loaded: {}", trouble == nullptr ? "no reason given" : trouble);
    auto* const version = symbol<MpiModuleVersion>(module, mpi_module_version);
    auto* const open = symbol<MpiModuleOpen>(module, mpi_module_open);
    require(version != nullptr && open != nullptr && std::string_view(version()) == FOVEA_VERSION, "'{}' belongs to another version of fovea, this is {}: build or install both together", path.string(),
            FOVEA_VERSION);
    return std::unique_ptr<Communicator>(open());
}

}  // namespace fovea
