// Weights in a mapped file: kept where they are, copied only where somebody needs them otherwise, never written back.
#include <cmath>
#include <filesystem>

#include <unistd.h>

#include "core/memory.h"
#include "fovea/io.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "fovea/runtime.h"
#include "support.h"

namespace fovea {
namespace {

/// A file of one large matrix (a mapping of its own), a small bias, and the plain parameters it was made of.
class MappedWeights : public testing::Test {
protected:
    static constexpr std::int64_t inputs = 700, outputs = 500;  // 1.4 MB

    void SetUp() override {
        Tensor weight({outputs, inputs}), bias({outputs});
        for (std::int64_t i = 0; i < weight.elements(); ++i) weight.set(i, std::sin(static_cast<double>(i)) / 50);
        for (std::int64_t i = 0; i < bias.elements(); ++i) bias.set(i, static_cast<double>(i) / 100);
        plain_.set("fc.weight", weight);
        plain_.set("fc.bias", bias);
        path_ = (std::filesystem::temp_directory_path() / fmt::format("fovea-mapped-{}.safetensors", ::getpid())).string();
        save_safetensors(path_, plain_);
        const Value x = graph_.input("x", {dynamic, inputs});
        graph_.output("y", linear(x, {.out = outputs}, "fc"));
    }
    void TearDown() override { std::filesystem::remove(path_); }

    Tensor answer(const std::shared_ptr<State>& state, bool inference = true) {
        Tensor x({3, inputs});
        for (std::int64_t i = 0; i < x.elements(); ++i) x.set(i, std::cos(static_cast<double>(i)));
        return Session(compile(graph_, {{"x", {3, inputs}}}, {.inference = inference}), state).run({{"x", x}}).front();
    }

    Parameters plain_;
    std::string path_;
    Graph graph_;
};

TEST_F(MappedWeights, AreMappedAndOutliveTheReader) {
    Parameters loaded = load_safetensors(path_);
    EXPECT_TRUE(is_mapped(loaded.at("fc.weight").raw()));
    EXPECT_TRUE(is_mapped(loaded.at("fc.bias").raw()));
    EXPECT_FALSE(is_mapped(plain_.at("fc.weight").raw()));
    const Tensor weight = loaded.at("fc.weight");
    loaded = {};
    std::filesystem::remove(path_);
    EXPECT_EQ(test::values_of(weight), test::values_of(plain_.at("fc.weight")));
    const std::byte* const address = weight.raw();
    const_cast<Tensor&>(weight) = {};
    EXPECT_FALSE(is_mapped(address)) << "a large tensor's mapping ends with it";
}

TEST_F(MappedWeights, GiveTheSameAnswersAsACopy) {
    const auto mapped = std::make_shared<State>(load_safetensors(path_)), copied = std::make_shared<State>(plain_);
    for (const bool inference : {true, false}) EXPECT_EQ(test::values_of(answer(mapped, inference)), test::values_of(answer(copied, inference)));
    EXPECT_EQ(test::values_of(mapped->read("fc.weight")), test::values_of(plain_.at("fc.weight")));
}

TEST_F(MappedWeights, AreNotWrittenByTraining) {
    const Parameters loaded = load_safetensors(path_);
    const Value weight = graph_.find("fc.weight");
    graph_.update(weight, weight * 2.0);
    const auto state = std::make_shared<State>(loaded);
    (void)answer(state, false);
    EXPECT_EQ(state->read("fc.weight").at(1), 2 * plain_.at("fc.weight").at(1));
    EXPECT_EQ(test::values_of(loaded.at("fc.weight")), test::values_of(plain_.at("fc.weight"))) << "the loaded tensor";
    EXPECT_EQ(test::values_of(load_safetensors(path_).at("fc.weight")), test::values_of(plain_.at("fc.weight"))) << "the file";
}

TEST_F(MappedWeights, AFileThatIsGoneIsNamed) {
    const std::string message = test::message_of<Error>([&] { (void)load_safetensors(path_ + ".none"); });
    EXPECT_EQ(message, fmt::format("read '{}.none': No such file or directory", path_));
}

}  // namespace
}  // namespace fovea
