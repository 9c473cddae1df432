// fovea bench: profiles by node, sweeps, measured plans, and precisions that a processor lacks.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "cli/program.h"

namespace fovea::test {
namespace {

TEST_F(Cli, BenchPutsThePiecesOfANodeTogether) {
    const Result profiled = run("bench resnet20 --batch 1 --seconds 0.02 --threads 2 --json --profile --plan-cache off");
    ASSERT_EQ(profiled.code, 0) << profiled.err;
    std::set<std::string> nodes;
    double share = 0;
    const json document = json::parse(profiled.out);
    for (const json& line : document.at("profile")) {
        EXPECT_TRUE(nodes.insert(line.at("op").get<std::string>() + " " + line.at("node").get<std::string>()).second) << line;
        share += line.at("share").get<double>();
        if (line.contains("of_peak")) {
            EXPECT_TRUE(line.at("bound_by") == "memory" || line.at("bound_by") == "compute");
        }
        if (line.at("op") == "conv2d") {
            EXPECT_GT(line.at("bytes"), 0);
        }
    }
    EXPECT_NEAR(share, 1, 1e-6);
}

TEST_F(Cli, BenchSweepsAQuantity) {
    const std::string few = " --seconds 0 --least-runs 1 --plan-cache off --json ";
    const Result batches = run("bench lenet5 --sweep batch --values 1,4 --svg batches.svg" + few);
    ASSERT_EQ(batches.code, 0) << batches.err;
    const json points = json::parse(batches.out).at("points");
    ASSERT_EQ(points.size(), 2u);
    EXPECT_EQ(points[1].at("batch"), 4);
    EXPECT_GT(points[1].at("arena_bytes"), points[0].at("arena_bytes"));
    const std::string svg = read(dir_ / "batches.svg");
    EXPECT_TRUE(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    EXPECT_NE(svg.find("pictures per run"), std::string::npos);
    const json depths = json::parse(run("bench cifar_resnet20 --sweep depth --train" + few).out).at("points");
    ASSERT_GE(depths.size(), 3u);
    EXPECT_EQ(depths[0].at("what"), "cifar_resnet20");
    EXPECT_LT(depths[0].at("operations"), depths[1].at("operations"));
    EXPECT_EQ(json::parse(run("bench resnet18 --sweep size --values 64,96" + few).out).at("points").size(), 2u);
    EXPECT_EQ(json::parse(run("bench lenet5 --sweep threads --values 1,2" + few).out).at("points")[1].at("threads"), 2);
    const Result table = run("bench lenet5 --sweep batch --values 1,2 --seconds 0 --least-runs 1");
    EXPECT_NE(table.out.find("median ms  minimum ms  images/s"), std::string::npos) << table.out;
    EXPECT_EQ(run("bench lenet5 --sweep depth").err, "fovea bench: --sweep depth: 'lenet5' comes in one depth only; resnet50, vgg16, densenet121 and cifar_resnet20 have families\n");
    EXPECT_EQ(run("bench lenet5 --sweep batch --values 0").err, "fovea bench: --values are whole numbers from 1 on, got 0\n");
    EXPECT_EQ(run("bench lenet5 --sweep colour").code, 2);
}

TEST_F(Cli, TuningKeepsItsPlanInTheUsersCache) {
    setenv("XDG_CACHE_HOME", (dir_ / "cache").c_str(), 1);
    const std::string bench = "bench resnet20 --batch 2 --seconds 0 --least-runs 1 --no-peak --json";
    ASSERT_EQ(run(bench).code, 0);
    EXPECT_FALSE(fs::exists(dir_ / "cache")) << "nothing is written unless it is asked for";
    ASSERT_EQ(run(bench + " --tune").code, 0);
    std::vector<fs::path> files;
    for (const auto& file : fs::recursive_directory_iterator(dir_ / "cache"))
        if (file.is_regular_file()) files.push_back(file.path());
    ASSERT_EQ(files.size(), 1u);
    const std::string whole = read(files[0]);
    EXPECT_GE(json::parse(whole).at("problems").size(), 5u);
    const Result again = run(bench + " --tune");
    EXPECT_EQ(again.err, "");
    EXPECT_EQ(read(files[0]), whole) << "what is known is not timed again";
    std::ofstream(files[0]) << whole.substr(0, whole.size() / 2);
    const Result torn = run("bench resnet20 --batch 2 --seconds 0 --least-runs 1 --no-peak");
    EXPECT_EQ(torn.code, 0);
    EXPECT_EQ(std::count(torn.err.begin(), torn.err.end(), '\n'), 1) << torn.err;
    EXPECT_NE(torn.err.find("damaged"), std::string::npos) << torn.err;
    EXPECT_EQ(run(bench + " --plan-cache off").err, "");
    unsetenv("XDG_CACHE_HOME");
}

TEST_F(Cli, APrecisionThatTheProcessorLacksFallsBackAndSaysSoOnce) {
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    const Result bf16 = run("bench resnet20 --batch 2 --precision bf16 --seconds 0 --least-runs 1 --no-peak --plan-cache off");
    const Result int8 = run("bench resnet20 --batch 2 --precision int8 --seconds 0 --least-runs 1 --no-peak --plan-cache off --json");
    const Result f32 = run("bench resnet20 --batch 2 --seconds 0 --least-runs 1 --no-peak --plan-cache off");
    unsetenv("ONEDNN_MAX_CPU_ISA");
    ASSERT_EQ(bf16.code, 0) << bf16.err;
    EXPECT_EQ(bf16.err, "fovea: bf16: this processor has no AVX512-BF16; the cpu backend runs f32\n");
    ASSERT_EQ(int8.code, 0) << int8.err;
    ASSERT_EQ(json::parse(int8.out).at("fallbacks").size(), 1u) << int8.out;
    EXPECT_TRUE(json::parse(int8.out).at("fallbacks")[0].get<std::string>().starts_with("int8: this processor")) << int8.out;
    EXPECT_EQ(f32.err, "");
}

}  // namespace
}  // namespace fovea::test
