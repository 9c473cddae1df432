// What lecture decks say about these networks and is not so. Numbers on the right are counted from our own graphs when they are asked
// for; docs/errata.md is this table printed.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/explain.h"
#include "fovea/ops.h"
#include "fovea/passes.h"

namespace fovea {

namespace {

using Texts = std::vector<std::string>;

std::string millions(std::int64_t count) { return fmt::format("{:.1f} M", static_cast<double>(count) / 1e6); }
std::string times(std::int64_t a, std::int64_t b) { return fmt::format("{:.1f}", static_cast<double>(a) / static_cast<double>(b)); }
LayerTable sifre(std::string_view model) { return layer_table(model, Convention::sifre); }

/// A total of one column of a demonstration.
std::int64_t demo_total(std::string_view name, std::size_t column) { return *demo_sheet(name).totals.front().at(column).number; }

std::int64_t convolutions_of(std::string_view model) {
    std::int64_t count = 0;
    for (const Layer& layer : layer_table(model).layers) count += layer.op == "conv2d";
    return count;
}
std::int64_t linears_of(std::string_view model) {
    std::int64_t count = 0;
    for (const Layer& layer : layer_table(model).layers) count += layer.op == "linear";
    return count;
}

/// Side of the map that AlexNet's first convolution makes of a picture.
std::int64_t first_map(std::int64_t side) { return layer_table("alexnet_2012", Convention::torch, {.height = side, .width = side}).at("conv1").output[2]; }

/// VGG's plan of stages with so many convolutions each, and three linear layers.
std::int64_t vgg_parameters(const std::vector<int>& stages) {
    Graph net;
    Value x = net.input("image", {dynamic, 3, 224, 224});
    for (std::size_t s = 0; s < stages.size(); ++s) {
        for (int i = 0; i < stages[s]; ++i) x = conv2d(x, {.out = std::min<std::int64_t>(512, 64 << s), .kernel = 3, .pad = 1});
        x = max_pool(x, {.kernel = 2});
    }
    x = flatten(x);
    for (const std::int64_t out : {4096, 4096, 1000}) x = linear(x, {.out = out});
    net.output("out", x);
    return net.trainable_scalars();
}

std::string digits(double value, int count) { return fmt::format("{:.{}f}", value, count); }

}  // namespace

std::string Erratum::right_text() const {
    std::string text(right);
    if (!counted) return text;
    for (const std::string& value : counted()) {
        const std::size_t at = text.find("{}");
        require(at != std::string::npos, "erratum {}: more values than places in '{}'", id, right);
        text.replace(at, 2, value);
    }
    require(text.find("{}") == std::string::npos, "erratum {}: a place in '{}' has no value", id, right);
    return text;
}

const std::vector<Erratum>& errata() {
    static const std::vector<Erratum> list{
        {"E01", "S4, VGG-16, first row", "89,915,390 operations", "{} parameters x 224 x 224 = {}",
         [] {
             const LayerTable table = sifre("vgg16");
             return Texts{with_commas(table.layers[1].parameters), with_commas(table.layers[1].operations)};
         }},
        {"E02", "S4, naive inception 5b", "271,418,048 operations", "{}: the 1 x 1 branch was entered as 384 instead of {}",
         [] {
             const Sheet sheet = demo_sheet("inception-5b");
             const auto row = std::ranges::find(sheet.rows, "1x1", [](const auto& cells) { return cells.front().text; });
             return Texts{with_commas(demo_total("inception-5b", 2)), with_commas(*row->at(2).number)};
         }},
        {"E03", "S4, GoogLeNet", "25 times fewer parameters than AlexNet", "{} times fewer: {} against {} (the paper says 12, of its rounded figures)",
         [] {
             const std::int64_t alexnet = sifre("alexnet_s4").parameters, googlenet = layer_table("googlenet_v1").parameters;
             return Texts{times(alexnet, googlenet), millions(alexnet), millions(googlenet)};
         }},
        {"E04", "S3, GoogLeNet", "5 M parameters, no fully connected layers", "{} parameters; one linear layer stays, 1024 to 1000: {} parameters",
         [] {
             const LayerTable table = layer_table("googlenet_v1");
             for (const Layer& layer : table.layers)
                 if (layer.op == "linear") return Texts{with_commas(table.parameters), with_commas(layer.parameters)};
             fail<Error>("googlenet_v1 has no linear layer");
         }},
        {"E05", "S3, inception", "bottlenecks save about 60 %", "{} % with the bottlenecks of 64 maps that are drawn: {} multiply-adds become {}",
         [] {
             const std::int64_t naive = demo_total("inception-demo", 2), reduced = demo_total("inception-demo", 3);
             return Texts{digits(100 - 100 * static_cast<double>(reduced) / static_cast<double>(naive), 1), with_commas(naive), with_commas(reduced)};
         }},
        {"E06", "S3, VGG-16, memory", "24 M values, 96 MB an image", "the slide's own column adds up to {} values: {} MB ({} MiB)",
         [] {
             const auto values = static_cast<double>(layer_table("vgg16", Convention::cs231n).volume);
             return Texts{with_commas(static_cast<std::int64_t>(values)), digits(values * 4 / 1e6, 2), digits(values * 4 / 1048576, 1)};
         }},
        {"E07", "S3, AlexNet", "MAX POOL1: 96 11 x 11 filters at stride 4", "{} with {} parameters: that is the line of conv1",
         [] {
             const Layer pool = layer_table("alexnet_2012").at("pool1");
             return Texts{pool.title, with_commas(pool.parameters)};
         }},
        {"E08", "S3, ensembles", "7 CNNs: 18.2 to 15.4", "two of the seven nets saw the Fall 2011 release as well; with the same data 5 CNNs reach 16.4"},
        {"E09", "S4, AlexNet", "16.4 %, better than all others by 10 %", "16.4 % are 5 nets without other data; the entry that won had 15.3 %, the next one 26.2 %"},
        {"E10", "S1, S3", "AlexNet used ReLU first", "Jarrett et al. 2009, Nair and Hinton 2010 and Glorot et al. 2011 did before"},
        {"E11", "S0, AlexNet's figure", "picture of 224 x 224, 253,440 neurons in conv1", "224 gives {} x {} positions, 227 gives {} x {}: {} neurons",
         [] {
             const std::string small = std::to_string(first_map(224)), large = std::to_string(first_map(227));
             return Texts{small, small, large, large, with_commas(layer_table("alexnet_2012").at("conv1").volume)};
         }},
        {"E12", "S0, AlexNet in dlib", "384 filters in the third convolution of the last group", "{}", [] { return Texts{std::to_string(layer_table("alexnet_2012").at("conv5").output[1])}; }},
        {"E13", "S0, AlexNet in dlib, on the way", "lines in the wrong order, brackets missing, LeNet left in the middle", "use the last listing"},
        {"E14", "S0, AlexNet in PyTorch, first listing", "conv2 has stride 2; Linear(384 * 7 * 7)", "stride 1; {} inputs from 224 with a padding of 1, {} from 227",
         [] {
             const auto inputs = [](std::string_view model, std::string_view layer) { return with_commas(build_model(model).find(layer).shape()[1]); };
             return Texts{inputs("alexnet_d2l", "14.weight"), inputs("alexnet_2012", "fc6.weight")};
         }},
        {"E15", "S0, PyTorch", "nn.Linear(120), nn.Linear(4096)", "the number of inputs is missing; LazyLinear finds it"},
        {"E16", "S0, VGG in PyTorch", "Dropout2d between linear layers", "Dropout: a vector has no maps to drop"},
        {"E17", "S0, \"VGG16/VGG19\" in dlib", "2-2-2-4-4 convolutions", "neither: {} convolutions and 3 linear layers, {} parameters; D has 2-2-3-3-3 ({}), E 2-2-4-4-4 ({})",
         [] {
             return Texts{std::to_string(2 + 2 + 2 + 4 + 4), with_commas(vgg_parameters({2, 2, 2, 4, 4})), with_commas(layer_table("vgg16").parameters), with_commas(layer_table("vgg19").parameters)};
         }},
        {"E18", "S0, the idea of VGG", "filter sizes grow", "the number of filters grows; their size stays 3 x 3"},
        {"E19", "S2, VGG's table", "conv3-256 three times in column E", "four times, {} convolutions in all",
         [] { return Texts{std::to_string(convolutions_of("vgg19"))}; }},
        {"E20", "S2, table", "LeNet has about 30 thousand parameters", "{}; {} with a dense third layer",
         [] { return Texts{with_commas(layer_table("lenet5_classic").parameters), with_commas(layer_table("lenet5_modern").parameters)}; }},
        {"E21", "S2, AlexNet", "2 fully connected layers and softmax", "{}: 4096, 4096, 1000", [] { return Texts{std::to_string(linears_of("alexnet_2012"))}; }},
        {"E22", "S2, batch normalisation", "introduced as regularisation", "introduced against internal covariate shift and for larger steps; it regularises besides"},
        {"E23", "S2, ResNet", "the first model better than people", "PReLU nets (4.94 %) and BN-Inception (about 4.8 %) came first"},
        {"E24", "S2, EfficientNet", "base network found by exhaustive search", "by a multi-objective architecture search; only alpha, beta and gamma come from a grid"},
        {"E25", "S2, U-Net", "joins higher convolutions with lower ones", "early maps of high resolution are joined to late, enlarged ones"},
        {"E26", "S3, YOLO", "B = 3, background class, base boxes", "version 1 has B = 2, 20 classes, no background and no anchors: {} x {} x {}",
         [] { return Texts{"7", "7", std::to_string(2 * 5 + 20)}; }},
        {"E27", "S3, Pascal VOC", "18 classes are listed", "20: bird and sofa are missing"},
        {"E28", "S3, ZFNet", "512, 1024, 512 maps as the ZFNet", "that is the enlarged net of an ablation: {} parameters against {}",
         [] { return Texts{with_commas(layer_table("zfnet_big").parameters), with_commas(layer_table("zfnet").parameters)}; }},
        {"E29", "S0, table", "winner of ILSVRC 2015: ResNet-101 with 22.0/6.0", "the winner is an ensemble of nets of up to 152 layers, 3.57 % top-5; 22.0/6.0 is one crop of a later implementation"},
        {"E30", "S4, LeNet", "the first CNN trained by back-propagation", "LeCun et al. 1989 was; LeNet-5 is of 1998"},
        {"E31", "S4, LeNet", "850 parameters in the last layer, softmax loss", "its codes are fixed numbers, {} of them, without bias",
         [] { return Texts{with_commas(build_model("lenet5_classic").find("rbf").shape().elements())}; }},
        {"E32", "S4, LeNet", "2,416 parameters in C3", "{}: the connections are sparse", [] { return Texts{with_commas(layer_table("lenet5_classic").at("c3").parameters)}; }},
        {"E33", "S4, DenseNet", "theta = 2", "theta = {}: a transition halves the {} maps of its block to {}",
         [] {
             const LayerTable table = layer_table("densenet121");
             const Graph net = build_model("densenet121");
             const Shape w = net.find("features.transition1.conv.weight").shape();
             return Texts{digits(static_cast<double>(w[0]) / static_cast<double>(w[1]), 1), std::to_string(w[1]), std::to_string(w[0])};
         }},
        {"E34", "S2, S4, ResNet", "3.6 and 3.8 billion operations", "cut off, not rounded: {} and {} billion multiply-adds; torchvision's ResNet-50, {}, has its stride elsewhere",
         [] {
             const auto billions = [](std::string_view model) { return digits(static_cast<double>(layer_table(model).operations) / 1e9, 2); };
             return Texts{billions("resnet34"), billions("resnet50_v1"), billions("resnet50")};
         }},
        {"E35", "S1", "7 with kernel 3 and stride 3 gives 2.33", "{}",
         [] {
             Graph net;
             const Value x = net.input("image", {1, 1, 7, 7});
             try {
                 (void)conv2d(x, {.out = 1, .kernel = 3, .stride = 3, .strict = true}, "conv");
             } catch (const ShapeError& error) {
                 return Texts{std::string("no such layer: ") + error.what()};
             }
             fail<Error>("a size that the stride does not divide was accepted");
         }},
        {"E36", "S0 against S1, dropout", "p is dropped (S0), p is kept (S1)", "name it: fovea's DropoutSpec has `drop`"},
        {"E37", "S3, selective search", "1000 proposals in a few seconds", "about 2000 (S0; the paper of R-CNN)"},
        {"E38", "S3, Faster R-CNN", "trained jointly with 4 losses", "the published numbers come from alternating training in 4 steps"},
        {"E39", "S4, ILSVRC", "150 thousand test pictures", "that is 2010; 2012 has 100 thousand"},
        {"E40", "S1, Swish", "ReLU is a special case of Swish", "only its limit: at x = 1 Swish is {} for beta = 1 and {} for beta = 100, where ReLU is 1",
         [] {
             const auto swish_of = [](double beta) { return digits(1 / (1 + std::exp(-beta)), 4); };
             return Texts{swish_of(1), swish_of(100)};
         }},
    };
    return list;
}

Sheet errata_sheet() {
    Sheet sheet;
    sheet.columns = {{"#", "id"}, {"where", "where"}, {"it says", "says"}, {"right", "right"}};
    for (const Erratum& erratum : errata()) sheet.rows.push_back({std::string(erratum.id), std::string(erratum.where), std::string(erratum.says), erratum.right_text()});
    return sheet;
}

}  // namespace fovea
