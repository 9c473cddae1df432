// What cannot be written or read is refused in one sentence that names all of it; damaged files never do more than that.
#include <set>

#include "fovea/models.h"
#include "fovea/nn.h"
#include "io/onnx.h"
#include "support.h"

#include "fovea/io.h"

namespace fovea {
namespace {

using test::message_of;

onnx::ModelProto model_of(const std::string& bytes) {
    onnx::ModelProto model;
    EXPECT_TRUE(model.ParseFromString(bytes));
    return model;
}

OnnxNetwork parse(const std::string& bytes) { return parse_onnx(std::as_bytes(std::span(bytes)), "net.onnx"); }
OnnxNetwork parse(const onnx::ModelProto& model) { return parse(model.SerializeAsString()); }
std::string refusal(const onnx::ModelProto& model) {
    return message_of<FormatError>([&] { (void)parse(model); });
}

/// A small network with every kind of part: convolution, batch norm, pooling, reshape, linear.
std::string small_network(bool fold = false) {
    Graph net;
    Value x = net.input("image", {dynamic, 1, 8, 8});
    x = max_pool(relu(batch_norm(conv2d(x, {.out = 2, .kernel = 3}, "conv"), {}, "bn"), "relu"), {.kernel = 2}, "pool");
    net.output("out", linear(flatten(x), {.out = 3}, "fc"));
    return to_onnx(net, make_parameters(net, 0), {.fold_batch_norm = fold});
}

TEST(Onnx, OpsWithoutACounterpartAreListedAtOnce) {
    Graph net;
    const Value x = net.input("x", {2, 4, 8, 8});
    net.output("loss", cross_entropy(mean(x, {.axes = {2, 3}}), net.input("label", {2}, DType::i32), {}, "loss"));
    net.output("columns", unfold(x, {.kernel = 3}, "windows"));
    net.output("even", lrn(x, {.size = 4}, "norm"));
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)to_onnx(net, {}); }),
              "write onnx: no counterpart for input 'label' (i32); lrn 'norm' (a window of 4 channels; ONNX agrees for odd ones only); softmax_cross_entropy (1 node, the first 'loss'); "
              "unfold (1 node, the first 'windows')");
}

TEST(Onnx, OperatorsThatAreNotReadAreListedAtOnce) {
    onnx::ModelProto model = model_of(small_network());
    auto& nodes = *model.mutable_graph()->mutable_node();
    for (auto& node : nodes) {
        if (node.op_type() == "Relu") node.set_op_type("Loop");
        if (node.op_type() == "MaxPool") node.set_op_type("NonMaxSuppression");
    }
    nodes[0].set_domain("com.example");
    EXPECT_EQ(refusal(model),
              "read 'net.onnx': not read: Loop (1 node, the first 'relu'); NonMaxSuppression (1 node, the first 'pool'); com.example.Conv (1 node, the first 'conv')");
}

TEST(Onnx, ValuesInOtherFilesAreRefused) {
    onnx::ModelProto model = model_of(small_network());
    auto& weight = *model.mutable_graph()->mutable_initializer(0);
    weight.clear_raw_data();
    weight.set_data_location(1);
    auto& entry = *weight.add_external_data();
    entry.set_key("location");
    entry.set_value("../../etc/passwd");
    EXPECT_EQ(refusal(model), "read 'net.onnx': the values of 'conv.weight' lie in another file, which is not opened: save the model as one file");
}

TEST(Onnx, ShapesAreHeldAgainstTheFile) {
    const onnx::ModelProto model = model_of(small_network());
    auto changed = model;
    changed.mutable_graph()->mutable_initializer(0)->set_dims(0, -2);
    EXPECT_EQ(refusal(changed), "read 'net.onnx': 'conv.weight' has the shape [-2, 1, 3, 3]");
    changed = model;
    changed.mutable_graph()->mutable_initializer(0)->set_dims(0, std::int64_t{1} << 50);
    EXPECT_NE(refusal(changed).find("takes more values than the file of "), std::string::npos);
    changed = model;
    changed.mutable_graph()->mutable_initializer(0)->set_dims(0, 1);
    EXPECT_EQ(refusal(changed), "read 'net.onnx': 'conv.weight' [1, 1, 3, 3] takes 36 bytes, the file holds 72");
    changed = model;
    changed.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(2)->set_dim_value(-8);
    EXPECT_EQ(refusal(changed), "read 'net.onnx': dimension 2 of input 'image' is -8");
    changed = model;
    changed.mutable_graph()->mutable_node(0)->set_input(0, "nowhere");
    EXPECT_EQ(refusal(changed), "read 'net.onnx': 'nowhere' is read before any node makes it");
    changed = model;
    changed.clear_opset_import();
    EXPECT_EQ(refusal(changed), "read 'net.onnx': it does not say which operator set it uses: no ONNX model");
}

TEST(Onnx, DamagedFilesGiveANetworkOrARefusal) {
    for (const std::string& whole : {small_network(), small_network(true), to_onnx(build_model("cifar_resnet20"), make_parameters(build_model("cifar_resnet20"), 0)).substr(0, 60'000)}) {
        const auto tried = [&](const std::string& bytes) {
            try {
                (void)parse(bytes);
            } catch (const FormatError& error) {
                EXPECT_EQ(std::string(error.what()).substr(0, 16), "read 'net.onnx':");
            }
        };
        const std::size_t step = std::max<std::size_t>(1, whole.size() / 400);
        for (std::size_t size = 0; size < whole.size(); size += step) tried(whole.substr(0, size));
        const Rng rng(0, hash_name("flips"));
        for (std::uint64_t i = 0; i < 1500; ++i) {
            std::string bytes = whole;
            for (std::uint64_t k = 0; k <= i % 3; ++k)
                bytes[static_cast<std::size_t>(rng.below(8 * i + 2 * k, static_cast<std::int64_t>(bytes.size())))] ^= static_cast<char>(1 << rng.below(8 * i + 2 * k + 1, 8));
            tried(bytes);
        }
    }
}

TEST(Onnx, TheWrittenFileIsOneThatTheStandardDescribes) {
    for (const int opset : {13, 17}) {
        Graph net = build_model("cifar_resnet20");
        const onnx::ModelProto model = model_of(to_onnx(net, make_parameters(net, 0), {.opset = opset, .metadata = {{"fovea", "{}"}}}));
        EXPECT_EQ(model.ir_version(), opset >= 15 ? 8 : 7);
        ASSERT_EQ(model.opset_import_size(), 1);
        EXPECT_EQ(model.opset_import(0).version(), opset);
        ASSERT_EQ(model.metadata_props_size(), 1);
        EXPECT_EQ(model.metadata_props(0).key(), "fovea");
        // Single assignment in order: every name is made once and before it is read; node names are unique.
        std::set<std::string> made{""}, names;
        for (const auto& info : model.graph().input()) EXPECT_TRUE(made.insert(info.name()).second) << info.name();
        for (const auto& tensor : model.graph().initializer()) EXPECT_TRUE(made.insert(tensor.name()).second) << tensor.name();
        for (const auto& node : model.graph().node()) {
            EXPECT_TRUE(names.insert(node.name()).second) << node.name();
            for (const auto& input : node.input()) EXPECT_TRUE(made.contains(input)) << node.name() << " reads " << input;
            for (const auto& output : node.output()) EXPECT_TRUE(made.insert(output).second) << output;
            for (const auto& attribute : node.attribute()) EXPECT_TRUE(attribute.type() >= 1 && attribute.type() <= 8) << attribute.name();
        }
        for (const auto& info : model.graph().output()) EXPECT_TRUE(made.contains(info.name())) << info.name();
        EXPECT_EQ(model.graph().input(0).type().tensor_type().shape().dim(0).dim_param(), "N");
    }
}

}  // namespace
}  // namespace fovea
