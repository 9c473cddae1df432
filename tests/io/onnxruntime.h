// ONNX Runtime as the judge of what we write: npm's onnxruntime-node in a process of its own. Tests skip aloud where it is missing.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "fovea/io.h"
#include "io/file.h"
#include "support.h"
#include "places.h"

namespace fovea::test {

namespace fs = std::filesystem;

/// Where node finds onnxruntime-node: NODE_PATH, or what `make bench` installs.
inline const std::string& node_modules() {
    static const std::string found = [] {
        const char* given = std::getenv("NODE_PATH");
        for (const std::string& place : {std::string(given ? given : ""), test::source_path("build/bench/node/node_modules")})
            if (!place.empty() && fs::exists(fs::path(place) / "onnxruntime-node") && std::system("node --version > /dev/null 2>&1") == 0) return place;
        return std::string();
    }();
    return found;
}

inline constexpr const char* without_onnxruntime = "no onnxruntime-node: 'npm install --ignore-scripts onnxruntime-node', NODE_PATH=.../node_modules";

/// A folder that is gone at the end.
struct Folder {
    Folder() {
        static int count = 0;
        path = fs::temp_directory_path() / ("fovea-onnx-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
        fs::create_directories(path);
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    fs::path path;
};

/// Outputs by name. Throws std::runtime_error with ONNX Runtime's message.
inline std::map<std::string, Tensor> run_onnxruntime(const std::string& file, const std::map<std::string, Tensor>& inputs) {
    const Folder folder;
    std::string command = "NODE_PATH='" + node_modules() + "' node '" + test::source_path("bench/peers/onnxruntime_run.js") + "' '" + file + "' '" + folder.path.string() + "'";
    int number = 0;
    for (const auto& [name, tensor] : inputs) {
        const std::string data = folder.path / ("input" + std::to_string(number++));
        const Tensor values = tensor.to(DType::f32);
        std::ofstream(data, std::ios::binary).write(reinterpret_cast<const char*>(values.raw()), static_cast<std::streamsize>(values.bytes()));
        std::string dims;
        for (const auto dim : values.shape().dims()) dims += (dims.empty() ? "" : ",") + std::to_string(dim);
        command += " '" + name + "=" + dims + "=" + data + "'";
    }
    const std::string log = folder.path / "log", list = folder.path / "list";
    if (std::system((command + " > '" + list + "' 2> '" + log + "'").c_str()) != 0) {
        std::ifstream text(log);
        throw std::runtime_error("ONNX Runtime: " + std::string(std::istreambuf_iterator<char>(text), {}));
    }
    std::ifstream text(list);
    const auto json = nlohmann::json::parse(text);
    std::map<std::string, Tensor> outputs;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const auto dims = json[i].at("dims").get<std::vector<std::int64_t>>();
        Tensor tensor{Shape(std::span<const std::int64_t>(dims))};
        const MappedFile values((folder.path / (std::to_string(i) + ".f32")).string());
        if (values.bytes().size() != tensor.bytes()) throw std::runtime_error("ONNX Runtime: an output of another size than its shape");
        std::memcpy(tensor.raw(), values.bytes().data(), tensor.bytes());
        outputs[json[i].at("name").get<std::string>()] = tensor;
    }
    return outputs;
}

}  // namespace fovea::test
