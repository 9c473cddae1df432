// fovea finetune, and train --weights: networks that begin with the weights of others.
#include <cstring>
#include <string>
#include <utility>

#include "cli/program.h"
#include "fovea/io.h"

namespace fovea::test {
namespace {

// T13: the four convolutions and the linear layers of configuration A.
TEST_F(Cli, ADeepVggBeginsWithLayersOfATrainedShallowOne) {
    make_pictures(2);
    const std::string thin = " --data folder:bars --no-val --set network.width_multiplier=0.03125 --augment none --lr 1e-3 --epochs 1 --batch 4 --threads 1";
    const Result shallow = run("train vgg11 --out shallow" + thin);
    ASSERT_EQ(shallow.code, 0) << shallow.err;
    const Result deep = run("train --recipe vgg16_staged --weights shallow --freeze features.5.*,features.10.*,classifier.* --out deep" + thin);
    ASSERT_EQ(deep.code, 0) << deep.err;
    EXPECT_NE(deep.err.find("'shallow': 14 tensors taken, 18 begin anew: features.2.weight, "), std::string::npos) << deep.err;
    const Parameters from = load_safetensors((dir_ / "shallow/checkpoint-last.safetensors").string()), to = load_safetensors((dir_ / "deep/checkpoint-last.safetensors").string());
    for (const auto& [source, target] : {std::pair("features.3", "features.5"), std::pair("features.6", "features.10"), std::pair("classifier.0", "classifier.0"), std::pair("classifier.6", "classifier.6")}) {
        const auto a = from.at(std::string(source) + ".weight").data<float>(), b = to.at(std::string(target) + ".weight").data<float>();
        ASSERT_EQ(a.size(), b.size()) << target;
        EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0) << target;
    }
}

TEST_F(Cli, FinetunesAHeadOnAFrozenBackboneAndSaysWhatMoved) {
    make_pictures();
    ASSERT_EQ(run(train_bars).code, 0);
    // A third class: the head begins anew, the rest is the run's.
    for (const char* split : {"train", "test"}) fs::copy(dir_ / "bars" / split / "lying", dir_ / "bars" / split / "third");
    const Result tuned = run("finetune lenet5 --weights run --data folder:bars --freeze backbone --epochs 1 --batch 8 --augment none --threads 1 --out tuned --json");
    ASSERT_EQ(tuned.code, 0) << tuned.err;
    EXPECT_NE(tuned.err.find("'run': 8 tensors taken, 2 begin anew: fc3.weight, fc3.bias\n"), std::string::npos) << tuned.err;
    const json moved = json::parse(tuned.out).at("moved");
    for (const auto& [name, distance] : moved.items()) EXPECT_EQ(distance.get<double>() == 0, name.rfind("fc3", 0) != 0) << name;
    // X01: byte for byte.
    const Parameters before = load_safetensors((dir_ / "run/checkpoint-last.safetensors").string()), after = load_safetensors((dir_ / "tuned/checkpoint-last.safetensors").string());
    const auto a = before.at("conv1.weight").data<float>(), b = after.at("conv1.weight").data<float>();
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0);
    EXPECT_NE(run("finetune --resume --out tuned --epochs 2 --threads 1").out.find("as it was"), std::string::npos);
    // Discriminative rates by name (X02).
    const Result groups = run("finetune lenet5 --weights run --data folder:bars --set groups.early.parameters=conv* groups.early.lr=0.1 --epochs 1 --batch 8 --augment none --threads 1 --out slow --json");
    ASSERT_EQ(groups.code, 0) << groups.err;
    const json slow = json::parse(groups.out).at("moved");
    EXPECT_GT(slow.at("conv2.weight").get<double>(), 0);
    EXPECT_NE(read(dir_ / "slow/recipe.toml").find("parameters = [\"conv*\"]"), std::string::npos);
    const Result none = run("finetune lenet5 --data folder:bars");
    EXPECT_EQ(none.code, 2);
    EXPECT_EQ(none.err, "fovea finetune: --weights is required: a run, or a weights file of the model\n");
}

}  // namespace
}  // namespace fovea::test
