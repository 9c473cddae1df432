// fovea-reference: runs networks and operators on the deterministic values of reference records and writes what came out, in the
// form the records' check.py compares.
//
//   fovea-reference MODEL --record RECORD.json --out RESULT.json [--precision f32|bf16|f64] [--backend cpu|reference]
//   fovea-reference --ops CASES.json --out RESULT.json [--precision f32|bf16|f64] [--backend cpu|reference]
//
// The cpu backend computes f32 only: f64 runs on the plain loops, which is said on stderr where cpu was asked for. An operator the tool does not know is named on stderr,
// the other cases still run and the exit status stays 0; a case that fails is named on stderr and the exit status is 1, with the
// results of the others written. A case also fails when it has an attribute or an input that its operator does not read. Attributes are
// called as PyTorch calls them, or as the records do; of descriptions ("formula") only the known ones pass. Usage errors exit with 2.
#include <filesystem>
#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>

#include "core/text.h"
#include "fovea/io.h"
#include "reference/case.h"
#include "reference/model.h"

namespace {

using namespace fovea;
using namespace fovea::reference;

Json read_json(const std::string& path) {
    std::ifstream file(path);
    require<Error>(file.is_open(), "read '{}': cannot be opened", path);
    try {
        return Json::parse(file);
    } catch (const Json::exception& error) {
        fail<FormatError>("read '{}': {}", path, error.what());
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Runs fovea on the values of reference records; check.py compares the results."};
    std::string model, record, ops, out, precision = "f32", backend;
    app.add_option("MODEL", model, "network, by name");
    app.add_option("--record", record, "the network's record");
    app.add_option("--ops", ops, "operator cases");
    app.add_option("--out", out, "where the results go")->required();
    app.add_option("--precision", precision)->check(CLI::IsMember({"f32", "bf16", "f64"}))->capture_default_str();
    app.add_option("--backend", backend)->check(CLI::IsMember({"cpu", "reference"}))->description("cpu for f32 and bf16, reference for f64 unless given");
    try {
        app.parse(argc, argv);
        if (ops.empty() == (model.empty() || record.empty())) throw CLI::ValidationError("give either MODEL with --record, or --ops");
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        const bool is_f64 = precision == "f64";
        if (is_f64 && backend == "cpu") std::cerr << "cpu backend: f64 is not supported (f32, bf16 are); the reference backend runs it\n";
        const How how{precision_named(precision), is_f64 ? "reference" : backend.empty() ? "cpu" : backend};
        Json results = Json::object();
        std::vector<std::string> unknown, failed;
        if (ops.empty()) {
            results[model] = run_model(model, read_json(record), how, std::cerr);
        } else {
            results = run_cases(read_json(ops), std::filesystem::path(ops).stem().string(), how, unknown, failed);
        }
        write_file_atomically(out, results.dump() + "\n");
        for (const auto& line : unknown) std::cerr << line << '\n';
        for (const auto& line : failed) std::cerr << "failed: " << line << '\n';
        return failed.empty() ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << "fovea-reference: " << error.what() << '\n';
        return 1;
    }
}
