// Any bytes as the files of a run, parted by lines "---": a record with its table, chart and page, or a FormatError.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fovea/runs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fovea;
    static const std::filesystem::path run = std::filesystem::temp_directory_path() / ("fovea_fuzz_run_" + std::to_string(::getpid()));
    std::filesystem::remove_all(run);
    std::filesystem::create_directory(run);
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    for (const char* name : {"config.json", "metrics.jsonl", "evaluation.json"}) {
        const std::size_t end = rest.find("---\n");
        if (const std::string_view text = rest.substr(0, end); !text.empty()) std::ofstream(run / name, std::ios::binary) << text;
        rest = end == std::string_view::npos ? "" : rest.substr(end + 4);
    }
    try {
        const std::vector<RunRecord> runs{read_run(run)};
        (void)runs_comparison(runs);
        (void)runs_chart(runs);
        (void)report_html(runs.front());
    } catch (const FormatError&) {
    }
    std::filesystem::remove_all(run);
    return 0;
}
