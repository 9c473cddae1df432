// Measured choices: what is timed, kept, read again, and left aside.
#include "runtime/plan_cache.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "fovea/io.h"
#include "fovea/nn.h"
#include "fovea/runtime.h"
#include "support.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

/// A path of its own for each test: a process reads a cache once.
class PlanCacheFile : public testing::Test {
protected:
    PlanCacheFile() : folder_(fs::temp_directory_path() / ("fovea_plans_" + std::to_string(getpid()) + "_" + testing::UnitTest::GetInstance()->current_test_info()->name())) {
        fs::create_directories(folder_);
    }
    ~PlanCacheFile() override { fs::remove_all(folder_); }
    [[nodiscard]] std::string path(const std::string& name = "plan.json") const { return (folder_ / name).string(); }
    static std::string read(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }

    fs::path folder_;
};

const PlanMachine here{.version = "1.2.3", .cpu = "Some \"CPU\", AVX2", .threads = 2};
PlanFile some_plans() { return {.machine = here, .problems = {{"conv2d n1c16h8w8 k16r3s3 pad1 f32 | nhwc", {{"winograd", 0.25}, {"onednn", 0.5}}}, {"another", {{"onednn", 1}}}}}; }

const std::string three_by_three = "conv2d n2c32h12w12 k32r3s3 pad1 bias f32";

TEST(PlanFileText, ComesBackAsItWas) {
    const PlanFile file = parse_plan_file(to_text(some_plans()), "it");
    EXPECT_EQ(file.machine, here);
    EXPECT_EQ(file.problems, some_plans().problems);
}

TEST(PlanFileText, AnyOtherBytesAreRefusedByName) {
    const std::string whole = to_text(some_plans());
    for (std::size_t length = 0; length + 2 < whole.size(); ++length)  // torn anywhere: the last two characters are a brace and the line's end
        EXPECT_THROW((void)parse_plan_file(whole.substr(0, length), "torn"), FormatError) << length;
    for (std::size_t at = 0; at < whole.size(); ++at) {
        std::string changed = whole;
        for (const char c : {'\0', '9', '[', '"', '\xff'}) {
            changed[at] = c;
            try {
                (void)parse_plan_file(changed, "changed");  // a digit of a time may become another
            } catch (const FormatError&) {
            }
        }
    }
    const auto refused = [](const std::string& problems) {
        return test::message_of<FormatError>(
            [&] { (void)parse_plan_file(R"({"format":"fovea plan cache 1","machine":{"version":"1","cpu":"c","threads":1},"problems":)" + problems + "}", "p.json"); });
    };
    EXPECT_EQ(refused(R"({"conv":{"onednn":-1}})"), "plan cache 'p.json': 'onednn' of 'conv' took -1 ms");
    EXPECT_NE(refused(R"({"conv":{"onednn":"fast"}})").find("plan cache 'p.json': damaged ("), std::string::npos);
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_plan_file("[1]", "p.json"); }), "plan cache 'p.json': not a file of plans");
    EXPECT_THROW((void)parse_plan_file(std::string(200'000, '['), "deep"), FormatError);
}

TEST_F(PlanCacheFile, AnotherMachinesIsLeftAsideWithOneLine) {
    write_file_atomically(path(), to_text(some_plans()));
    for (const PlanMachine& machine : {PlanMachine{"1.2.4", here.cpu, 2}, PlanMachine{here.version, "Other", 2}, PlanMachine{here.version, here.cpu, 3}}) {
        PlanCache cache(path(), machine);
        EXPECT_FALSE(cache.find("another"));
        EXPECT_EQ(cache.take_trouble(), "plan cache '" + path() + "' is of fovea 1.2.3, Some \"CPU\", AVX2, 2 threads; this is " + machine.str() + "; it is left aside, the cost model chooses");
        EXPECT_EQ(cache.take_trouble(), "");
    }
    PlanCache own(path(), here);
    EXPECT_EQ(own.take_trouble(), "");
    EXPECT_EQ(own.find("another")->at("onednn"), 1);
    EXPECT_EQ(PlanCache(path("absent.json"), here).take_trouble(), "");
}

TEST_F(PlanCacheFile, WritersKeepWhatOthersHaveAdded) {
    PlanCache first(path("folder/plan.json"), here), second(path("folder/plan.json"), here);
    first.add("a", {{"onednn", 1}});
    second.add("b", {{"onednn", 2}});
    first.save();
    second.save();
    EXPECT_EQ(parse_plan_file(read(path("folder/plan.json")), "it").problems.size(), 2u);
    write_file_atomically(path("file"), "");
    PlanCache nowhere(path("file/plan.json"), here);
    nowhere.add("a", {{"onednn", 1}});
    nowhere.save();
    EXPECT_NE(nowhere.take_trouble().find("is not written"), std::string::npos);
}

TEST_F(PlanCacheFile, TuningTimesEachWayOnceAndLaterCompilationsTakeTheFastest) {
    const Problem problem = parse_problem(three_by_three);
    const CompileOptions tuning{.autotune = true, .plan_cache = path()};
    const Executable tuned = compile(problem.graph, {}, tuning);
    ASSERT_EQ(tuned.choices().size(), 1u) << tuned.explain_plan();
    EXPECT_GE(tuned.choices()[0].ways.size(), 2u);
    for (const PlanChoice::Way& way : tuned.choices()[0].ways) EXPECT_GE(way.measured_ms, 0) << way.name;
    EXPECT_GT(tuned.choices()[0].ways[0].measured_ms, 0);
    const std::string written = read(path());
    const PlanFile file = parse_plan_file(written, path());
    ASSERT_EQ(file.problems.size(), 1u);
    EXPECT_EQ(compile(problem.graph, {}, tuning).plan()[0].kernel, tuned.plan()[0].kernel);
    EXPECT_EQ(read(path()), written) << "nothing is timed twice";
    // Whatever the file calls the fastest is taken, and gives the same values.
    const Parameters parameters = make_parameters(problem.graph, 1);
    const std::map<std::string, Tensor> inputs{{"x", test::filled({2, 32, 12, 12}, "x").to(DType::f32)}};
    const auto answer = [&](const CompileOptions& options) { return Session(compile(problem.graph, {}, options), std::make_shared<State>(parameters)).run(inputs)[0]; };
    const std::vector<double> expected = test::values_of(answer({.backend = "reference"}));
    double norm = 0;
    for (const double v : expected) norm += v * v;
    int taken = 0;
    for (const auto& [way, ms] : file.problems.begin()->second) {
        if (ms >= 1e9) continue;
        PlanFile forged = file;
        forged.problems.begin()->second[way] = 1e-6;
        write_file_atomically(path(way + ".json"), to_text(forged));
        const Executable chosen = compile(problem.graph, {}, {.plan_cache = path(way + ".json")});
        EXPECT_EQ(chosen.choices()[0].ways[0].name, way);
        EXPECT_NE(chosen.explain_plan().find(way + " 0.000"), std::string::npos) << chosen.explain_plan();
        const std::vector<double> values = test::values_of(answer({.plan_cache = path(way + ".json")}));
        double difference = 0;
        for (std::size_t i = 0; i < values.size(); ++i) difference += (values[i] - expected[i]) * (values[i] - expected[i]);
        EXPECT_LE(std::sqrt(difference / norm), 1e-5) << way;  // rounding of a few hundred products: about 1e-6 in the norm
        ++taken;
    }
    EXPECT_GE(taken, 2);
}

TEST_F(PlanCacheFile, ADamagedOneIsSaidOnceAndTheCostModelChooses) {
    const Problem problem = parse_problem(three_by_three);
    write_file_atomically(path(), to_text(some_plans()).substr(0, 60));
    const Executable plain = compile(problem.graph, {}), first = compile(problem.graph, {}, {.plan_cache = path()}), second = compile(problem.graph, {}, {.plan_cache = path()});
    ASSERT_EQ(first.fallbacks().size(), 1u);
    EXPECT_NE(first.fallbacks()[0].find("plan cache '" + path() + "': damaged ("), std::string::npos);
    EXPECT_TRUE(second.fallbacks().empty());
    for (const Executable& each : {first, second}) {
        EXPECT_EQ(each.plan()[0].kernel, plain.plan()[0].kernel);
        EXPECT_EQ(each.choices()[0].ways[0].measured_ms, 0);
    }
}

/// Three convolutions and their updates: maps and weights in every layout that a way may want.
struct SmallStep {
    SmallStep() {
        Value x = graph.input("x", {8, 16, 10, 10});
        x = relu(conv2d(x, {.out = 32, .kernel = 3, .pad = 1}, "a"));
        x = relu(conv2d(x, {.out = 32, .kernel = 1}, "b"));
        x = relu(conv2d(x, {.out = 32, .kernel = 3, .pad = 1}, "c"));
        const Value loss = mean(square(conv2d(x, {.out = 16, .kernel = 3, .stride = 2, .pad = 1}, "d")));
        std::vector<Value> weights;
        for (const char* name : {"a.weight", "b.weight", "c.weight", "d.weight"}) weights.push_back(graph.find(name));
        const std::vector<Value> dw = gradients(loss, weights, scalar(graph, 1));
        graph.output("loss", loss);
        for (std::size_t i = 0; i < weights.size(); ++i) graph.update(weights[i], weights[i] - 0.1 * dw[i]);
        parameters = make_parameters(graph, 3);
    }
    /// The losses of three steps.
    [[nodiscard]] std::vector<double> losses(const Executable& executable) const {
        Session session(executable, std::make_shared<State>(parameters));
        std::vector<double> losses;
        for (int step = 0; step < 3; ++step) losses.push_back(session.run({{"x", test::filled({8, 16, 10, 10}, "x").to(DType::f32)}})[0].at(0));
        return losses;
    }
    /// Sums of a few hundred products in another order: 1e-6. Factors of 8 bits each: 2^-9 a product, most of which cancels in a sum.
    static void expect_near(const std::vector<double>& losses, const std::vector<double>& expected, Precision precision, const Executable& executable) {
        for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(losses[i], expected[i], (precision == Precision::f32 ? 1e-5 : 1e-2) * expected[i]) << executable.explain_plan();
    }

    Graph graph;
    Parameters parameters;
};

TEST_F(PlanCacheFile, AWholeTrainingStepIsTunedInBothPrecisions) {
    const SmallStep step;
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
        const Executable plain = compile(step.graph, {}, {.precision = precision}), tuned = compile(step.graph, {}, {.precision = precision, .autotune = true, .plan_cache = path()});
        EXPECT_GE(tuned.choices().size(), 4u) << tuned.explain_plan();
        EXPECT_EQ(tuned.choices().size(), plain.choices().size());
        SmallStep::expect_near(step.losses(tuned), step.losses(plain), precision, tuned);
    }
}

// The layouts that ways want meet in every combination: a weight's form may be made from another form, which has to be made before it.
TEST_F(PlanCacheFile, AnyMixOfWaysTrainsAlike) {
    const SmallStep step;
    std::mt19937 random(1);
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
        const std::vector<double> expected = step.losses(compile(step.graph, {}, {.precision = precision}));
        PlanFile file;
        for (int trial = 0; trial < 24; ++trial) {
            const std::string name = path(fmt::format("{}_{}.json", precision == Precision::f32 ? "f32" : "bf16", trial));
            for (auto& [problem, ways] : file.problems)
                for (auto& [way, ms] : ways)
                    if (ms < 1e9) ms = 1 + static_cast<double>(random() % 1000);
            if (trial > 0) write_file_atomically(name, to_text(file));
            const Executable mixed = compile(step.graph, {}, {.precision = precision, .autotune = true, .plan_cache = name});
            SmallStep::expect_near(step.losses(mixed), expected, precision, mixed);
            file = parse_plan_file(read(name), name);  // with the problems that only this mix has
        }
        EXPECT_GE(file.problems.size(), 7u);  // the convolutions forward and in both directions back, but the first data gradient
    }
}

}  // namespace
}  // namespace fovea
