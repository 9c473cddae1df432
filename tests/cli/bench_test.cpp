// fovea bench: times of networks and ops, and that the answers are the model's.
#include <cmath>
#include <string>

#include "cli/program.h"
#include "fovea/io.h"

namespace fovea::test {
namespace {

TEST_F(Cli, BenchOnExportedWeightsAndOnTheOnnxFileAnswersAsTheModelDoes) {
    const Result exported = run("export cifar_resnet20 --seed 7 --out net.onnx --weights net.safetensors --json");
    ASSERT_EQ(exported.code, 0) << exported.err;
    for (const char* what : {"cifar_resnet20 --seed 7", "net.safetensors --seed 7", "net.onnx --seed 7"}) {
        const std::string answers = std::string("answers-") + std::string(what).substr(0, std::string(what).find(' ')) + ".st";
        const Result bench = run(std::string("bench ") + what + " --batch 2 --seconds 0 --least-runs 1 --no-peak --threads 1 --json --answers " + answers);
        ASSERT_EQ(bench.code, 0) << bench.err;
        const json document = json::parse(bench.out);
        EXPECT_EQ(document["runs"], 1);
        EXPECT_FALSE(document.contains("share_of_peak"));
        EXPECT_GE(document["first_at_ms"], 1.7e12);  // milliseconds since 1970, in 2023 or later
    }
    const auto model = load_safetensors(dir_ / "answers-cifar_resnet20.st");
    EXPECT_EQ(model.at("image").shape(), (Shape{2, 3, 32, 32}));
    EXPECT_EQ(model.at("out").shape(), (Shape{2, 10}));
    for (const char* file : {"answers-net.safetensors.st", "answers-net.onnx.st"}) {
        const auto other = load_safetensors(dir_ / file);
        double difference = 0, norm = 0;
        for (std::int64_t i = 0; i < 20; ++i) {
            difference += std::pow(other.at("out").at(i) - model.at("out").at(i), 2);
            norm += std::pow(model.at("out").at(i), 2);
        }
        // f32 with batch norm folded at another place: rounding of twenty layers.
        EXPECT_LE(std::sqrt(difference), 1e-5 * std::sqrt(norm)) << file;
        EXPECT_GT(norm, 0);
    }
    const Result another = run("bench cifar_resnet20 --seed 8 --batch 2 --seconds 0 --least-runs 1 --no-peak --threads 1 --answers other.st");
    ASSERT_EQ(another.code, 0) << another.err;
    EXPECT_NE(load_safetensors(dir_ / "other.st").at("out").at(0), model.at("out").at(0));
}

TEST_F(Cli, BenchMeasuresANetworkAndAnOp) {
    const Result op = run("bench 'conv2d n1c8h14w14 k8r3s3 pad1 f32' --seconds 0.05 --threads 1 --json");
    ASSERT_EQ(op.code, 0) << op.err;
    EXPECT_GT(json::parse(op.out).at("min_ms").get<double>(), 0);
    EXPECT_EQ(json::parse(op.out).at("operations"), 2 * 8 * 8 * 9 * 14 * 14);
    const Result step = run("bench lenet5 --batch 8 --train --seconds 0.05 --threads 1 --json --profile --trace trace.json");
    ASSERT_EQ(step.code, 0) << step.err;
    const json profiled = json::parse(step.out);
    EXPECT_GE(profiled.at("profile").size(), 10u);
    EXPECT_GT(profiled.at("roofline_ms").get<double>(), 0);
    EXPECT_TRUE(json::parse(read(dir_ / "trace.json")).contains("traceEvents"));
    const auto arena = [](const Result& result) { return json::parse(result.out)["arena_bytes"].get<std::int64_t>(); };
    const std::string train = "bench resnet20 --batch 16 --train --seconds 0 --least-runs 1 --no-peak --json ";
    const Result kept = run(train), again = run(train + "--recompute blocks"), limited = run(train + "--memory-limit " + std::to_string(arena(kept) - 1));
    EXPECT_LT(arena(again), arena(kept));
    EXPECT_EQ(json::parse(again.out)["recomputed"]["mode"], "blocks");
    EXPECT_EQ(json::parse(limited.out)["recomputed"]["mode"], "cheap");
    EXPECT_EQ(run(train + "--memory-limit 1K").code, 1);
    EXPECT_EQ(run(train + "--memory-limit much").err, "fovea bench: --memory-limit takes bytes, for instance 800M or 2GiB, got 'much'\n");
    const Result together = run("bench lenet5 --batch 64 --seconds 0.05 --threads 2 --sessions 2 --no-peak --json");
    ASSERT_EQ(together.code, 0) << together.err;
    EXPECT_EQ(json::parse(together.out).at("sessions").at("count"), 2);
    EXPECT_GT(json::parse(together.out).at("sessions").at("ratio").get<double>(), 0);
    EXPECT_GE(json::parse(together.out).at("p99_ms").get<double>(), json::parse(together.out).at("median_ms").get<double>());
    const Result owned = run("bench lenet5 --train --sessions 2");
    EXPECT_EQ(owned.code, 2);
    EXPECT_EQ(owned.err, "fovea bench: --sessions is for inference: a training step owns its parameters\n");
    const Result wrong = run("bench 'conv2d n1c8h14w14 k8r3'");
    EXPECT_EQ(wrong.code, 2);
    EXPECT_EQ(wrong.err, "fovea bench: problem 'conv2d n1c8h14w14 k8r3': 'k8r3' should give k, r, s in this order, for instance 'k16r3s3'\n");
}

}  // namespace
}  // namespace fovea::test
