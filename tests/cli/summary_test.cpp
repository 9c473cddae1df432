// fovea models, summary, compare, rf, table, graph, filters: what there is to know without training.
#include <fstream>
#include <string>

#include "cli/program.h"

namespace fovea::test {
namespace {

TEST_F(Cli, ModelsListsEveryCard) {
    const Result result = run("models --json");
    ASSERT_EQ(result.code, 0) << result.err;
    const json document = json::parse(result.out);
    bool has_lenet = false;
    for (const json& card : document.at("models"))
        if (card.at("name") == "lenet5_modern") has_lenet = card.at("parameters") == 61706 && card.at("macs") == 416520 && card.at("year") == 1998;
    EXPECT_TRUE(has_lenet);
    EXPECT_NE(run("models").out.find("cifar_resnet20 (resnet20)"), std::string::npos);
}

TEST_F(Cli, SummaryAddsUpToTheCard) {
    const Result result = run("summary lenet5 --json");
    ASSERT_EQ(result.code, 0) << result.err;
    const json document = json::parse(result.out);
    std::int64_t parameters = 0, macs = 0;
    for (const json& layer : document.at("layers")) parameters += layer.at("parameters").get<std::int64_t>(), macs += layer.at("macs").get<std::int64_t>();
    EXPECT_EQ(parameters, 61706);
    EXPECT_EQ(macs, 416520);
    EXPECT_NE(run("summary lenet5").out.find("61,706 parameters (241.0 KiB), 416,520 multiply-adds"), std::string::npos);
    EXPECT_NE(run("summary lenet5 --convention sifre --format csv").out.find("total,,,61706,429352,"), std::string::npos);
    EXPECT_EQ(run("summary lenet5 --max-batch lots").code, 2);
    EXPECT_EQ(run("summary lenet5 --input 1x1x28").err, "fovea summary: --input takes NxCxHxW, for instance 1x3x224x224, got '1x1x28'\n");
}

TEST_F(Cli, SummaryReadsAListing) {
    std::ofstream(dir_ / "net.txt") << "nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(),\n  nn.Linear(10))\n";
    const Result result = run("summary --listing net.txt --input 1x1x8x8 --json");
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(json::parse(result.out)["parameters"], 4 * 9 + 4 + 4 * 36 * 10 + 10);
    EXPECT_EQ(result.err, "fovea: net.txt: line 2: nn.Linear(10) has no in_features: 144 inferred; the number is read as out_features (PyTorch needs nn.LazyLinear)\n");
    EXPECT_EQ(run("summary listing:net.txt --input 1x1x8x8 --json").out, result.out);
    std::ofstream(dir_ / "bad.txt") << "fc<10,\nrelo<input<matrix<float>>>>\n";
    const Result refused = run("summary --listing bad.txt");
    EXPECT_EQ(refused.code, 1);
    EXPECT_TRUE(refused.err.starts_with("fovea summary: listing 'bad.txt': line 2: no layer 'relo'; nearest: relu")) << refused.err;
    EXPECT_EQ(run("summary").code, 2);
    EXPECT_EQ(run("summary lenet5 --listing net.txt").code, 2);
}

TEST_F(Cli, SummaryShowsStagesAndThePlan) {
    const Result plan = run("summary lenet5 --explain-plan --json");
    ASSERT_EQ(plan.code, 0) << plan.err;
    EXPECT_GE(json::parse(plan.out).at("plan").size(), 5u);
    const Result wrong = run("summary lenet5 --stage melted");
    EXPECT_EQ(wrong.code, 2);
    EXPECT_TRUE(wrong.err.starts_with("fovea summary: no pass 'melted'; the passes are ")) << wrong.err;
    const Result fused = run("summary lenet5 --stage fused");
    EXPECT_EQ(fused.code, 0) << fused.err;
    EXPECT_NE(fused.out.find("conv2d"), std::string::npos);
}

TEST_F(Cli, ComparesCountsAndDraws) {
    const Result compared = run("compare lenet5 small_mnist --format csv --chart chart.svg");
    ASSERT_EQ(compared.code, 0) << compared.err;
    EXPECT_NE(compared.out.find("lenet5_modern,61706,"), std::string::npos) << compared.out;
    EXPECT_TRUE(read(dir_ / "chart.svg").starts_with("<svg"));
    EXPECT_EQ(run("compare").code, 2);
    EXPECT_NE(run("rf 3 3 3").out.find("27 C^2"), std::string::npos);
    EXPECT_NE(run("rf lenet5_tutorial --format csv").out.find("conv2,\"conv(5, 16)\",14,2\n"), std::string::npos);
    EXPECT_EQ(json::parse(run("table inception-demo --json").out).at("totals")[0].at("naive"), 854196224);
    const Result fits = run("summary small_mnist --max-batch 8MiB --json");
    ASSERT_EQ(fits.code, 0) << fits.err;
    EXPECT_GT(json::parse(fits.out).at("max_batch_inference"), json::parse(fits.out).at("max_batch_training"));
}

TEST_F(Cli, GraphsAndFiltersArePictures) {
    const Result graph = run("graph lenet5 --elementary --loss --format dot");
    ASSERT_EQ(graph.code, 0) << graph.err;
    EXPECT_TRUE(graph.out.starts_with("digraph \"lenet5_modern\" {")) << graph.out.substr(0, 100);
    EXPECT_NE(graph.out.find("label=\"exp\\n[1, 10]\""), std::string::npos);
    const Result filters = run("filters lenet5 --layer conv1 --out grid.png");
    ASSERT_EQ(filters.code, 0) << filters.err;
    EXPECT_EQ(read_image(dir_ / "grid.png", 1).width, 3 * (6 * 5 + 2) + 2);
    const Result wrong = run("filters lenet5 --layer conv9");
    EXPECT_EQ(wrong.code, 2);
    EXPECT_EQ(wrong.err.substr(wrong.err.find("fovea filters: no")), "fovea filters: no convolution 'conv9'; there are conv1, conv2\n");
}

TEST_F(Cli, ImageNetsErrorAndEffectiveFieldsArePictures) {
    const Result table = run("table ilsvrc --format csv --chart bars.svg");
    ASSERT_EQ(table.code, 0) << table.err;
    EXPECT_NE(table.out.find("2015,ResNet,3.57,"), std::string::npos) << table.out;
    EXPECT_TRUE(read(dir_ / "bars.svg").starts_with("<svg "));
    EXPECT_EQ(run("table bottleneck --chart bars.svg").code, 2);
    const Result field = run("rf lenet5 --effective field.png --layer conv2 --images 3 --json");
    ASSERT_EQ(field.code, 0) << field.err;
    EXPECT_EQ(read_image(dir_ / "field.png", 3).width, 28 * 16);
    EXPECT_EQ(run("rf 3 3 3 --effective field.png").code, 2);
    EXPECT_EQ(run("rf lenet5 --layer conv2").code, 2);
}

}  // namespace
}  // namespace fovea::test
