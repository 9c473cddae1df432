#include "fovea/models.h"

#include <cstdlib>

#include "support.h"

namespace fovea {
namespace {

using Notes = std::vector<std::string>;

std::string refusal(std::string_view text, const ListingOptions& options = {}) {
    return test::message_of<FormatError>([&] { (void)read_listing(text, "mine", options); });
}
bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }
std::string all(const Notes& notes) {
    std::string text;
    for (const auto& note : notes) text += note + "\n";
    return text;
}

constexpr const char* lenet = R"(
// from the output to the input, unclosed as on a slide
fc<10, relu<fc<84, relu<fc<120,
max_pool<2,2,2,2, relu<con<16,5,5,1,1,
max_pool<2,2,2,2, relu<con<6,5,5,1,1,
input<matrix<unsigned char>>
)";

TEST(DlibListing, IsReadWithDlibsPaddingOrWithout) {
    const Listing padded = read_listing(lenet, "lenet");
    EXPECT_EQ(padded.kind, ListingKind::dlib);
    EXPECT_EQ(padded.graph.trainable_scalars(), 107786);
    EXPECT_EQ(padded.graph.find("image").shape(), (Shape{dynamic, 1, 28, 28}));
    EXPECT_EQ(padded.notes, Notes{"the listing states no input size: 1 x 28 x 28 is assumed"});
    EXPECT_EQ(read_listing(lenet, "lenet", {.padded = false}).graph.trainable_scalars(), 44426);
    const Listing sized = read_listing(lenet, "lenet", {.channels = 3, .height = 32, .width = 40});
    EXPECT_TRUE(sized.notes.empty());
    EXPECT_EQ(sized.graph.find_parameter("con1.weight")->type.shape, (Shape{6, 3, 5, 5}));
    EXPECT_EQ(sized.graph.find_parameter("fc1.weight")->type.shape, (Shape{120, 16 * 8 * 10}));
}

TEST(DlibListing, ExpandsAliasesBlocksAndBranches) {
    const Listing net = read_listing(R"(
        template <typename SUBNET> using narrow = relu<con<4,1,1,1,1,SUBNET>>;
        template <typename SUBNET> using wide = relu<con<6,3,3,1,1,narrow<SUBNET>>>>;
        template <long N, template <typename> class NORM, typename SUBNET> using unit = add_prev1<NORM<con<N,3,3,1,1,tag1<SUBNET>>>>;
        using net_type = loss_multiclass_log<fc<5, inception2<narrow,wide, repeat<2,narrow, unit<8,bn_con, con<8,3,3,1,1, input_rgb_image_sized<20>>>>>>>;
        net_type net;)",
                                     "blocks");
    EXPECT_EQ(net.notes, Notes{"line 3: 'wide' has 1 closing bracket too many"});
    EXPECT_EQ(net.graph.find("image").shape(), (Shape{dynamic, 3, 20, 20}));
    EXPECT_EQ(net.graph.find_output("out").shape(), (Shape{dynamic, 5}));
    const std::int64_t stem = 8 * 27 + 8, unit = 8 * 72 + 8 + 16, repeats = (4 * 8 + 4) + (4 * 4 + 4), branches = (4 * 4 + 4) + (4 * 4 + 4) + (6 * 36 + 6), classes = 10 * 20 * 20 * 5 + 5;
    EXPECT_EQ(net.graph.trainable_scalars(), stem + unit + repeats + branches + classes);
}

TEST(DlibListing, IsRefusedWhenItsLayersStandSideBySide) {
    const std::string text = refusal(R"(input<matrix<unsigned char>>
max_pool<3,3,2,2,relu<con<32,5,5,1,1,>>>
max_pool<3,3,2,2,relu<fc<100,>>
fc<10,>
relu<con<6,3,3,1,1,>>)");
    EXPECT_TRUE(has(text, "listing 'mine': line 1: the listing begins with its input layer and runs downwards")) << text;
    EXPECT_TRUE(has(text, "line 2: the brackets close at once, there is no layer inside (in 4 places)")) << text;
    EXPECT_TRUE(has(text, "line 5: a convolution of 6 filters stands behind the last fully connected layer (line 4): another network's layer was left in")) << text;
    EXPECT_TRUE(has(text, "1 line without its closing brackets")) << text;
    EXPECT_TRUE(has(text, "5 pieces stand side by side")) << text;
}

TEST(DlibListing, NamesTheLineOfWhatIsWrong) {
    EXPECT_TRUE(has(refusal("fc<10,\nrelo<input<matrix<float>>>>"), "line 2: no layer 'relo'; nearest: relu"));
    EXPECT_TRUE(has(refusal("fc<10,\ncon<4,3,3,1,input<matrix<float>>>>"), "line 2: con takes 5 numbers and a layer, got 5 arguments"));
    EXPECT_TRUE(has(refusal("fc<10,\nmax_pool<9,9,2,2,input<matrix<float>>>>", {.channels = 1, .height = 4, .width = 4}), "line 2: max_pool<9,9,2,2>: "));
    EXPECT_TRUE(has(refusal("template <typename S> using a = relu<S>;"), "no network is in it: only templates of blocks"));
    EXPECT_TRUE(has(refusal("using a = relu<b>; using b = relu<a>; fc<2, a>"), "no input layer stands innermost"));
    EXPECT_TRUE(has(refusal("template <typename S> using a = a<relu<S>>; fc<2, a<input<matrix<float>>>>"), "nest too deeply"));
    EXPECT_TRUE(has(refusal("fc<99999999, input<matrix<float>>>"), "line 1: fc takes a number from 1 to 1048576 here, got '99999999'"));
    EXPECT_TRUE(has(refusal("fc<1>\n000,"), "line 2: a layer is expected, got '000'"));
    EXPECT_TRUE(has(refusal("fc<1>\n,"), "line 2: a layer is expected, got ','"));
    EXPECT_TRUE(has(refusal("hello"), "neither dlib's layers"));
    EXPECT_TRUE(has(refusal(""), "neither dlib's layers"));
}

TEST(TorchListing, InfersWhatLinearLacksAndSaysSoOnce) {
    const Listing net = read_listing(R"(net = nn.Sequential(
    nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
    nn.Flatten(),
    nn.Linear(120), nn.ReLU(), nn.Dropout2d(0.25),
    nn.Linear(84),
    nn.LazyLinear(10)))",
                                     "short", {.height = 28, .width = 28});
    EXPECT_EQ(net.kind, ListingKind::torch);
    EXPECT_EQ(net.graph.find_parameter("4.weight")->type.shape, (Shape{120, 6 * 14 * 14}));
    EXPECT_EQ(net.graph.find_parameter("8.bias")->type.shape, (Shape{10}));
    EXPECT_EQ(net.notes, (Notes{"line 4: nn.Linear(120) has no in_features: 1176 inferred, line 5: nn.Linear(84) has no in_features: 120 inferred; the number is read as out_features (PyTorch needs nn.LazyLinear)",
                                "line 4: Dropout2d drops whole channels of maps and acts on vectors here, where Dropout is meant"}));
}

TEST(TorchListing, IsReadAsPrinted) {
    const Listing net = read_listing(R"(Sequential(
  (0): Conv2d(3, 6, kernel_size=(5, 3), stride=(1, 1), padding=(2, 1), bias=False)
  (1): BatchNorm2d(6, eps=0.001, momentum=0.01, affine=True, track_running_stats=True)
  (2): Sequential(
    (0): LeakyReLU(negative_slope=0.2)
    (1): AdaptiveAvgPool2d(output_size=(1, 1))
  )
  (3): Flatten(start_dim=1, end_dim=-1)
  (4): Linear(in_features=6, out_features=4, bias=True)
))",
                                     "printed", {.height = 9, .width = 7});
    EXPECT_TRUE(net.notes.empty()) << all(net.notes);
    std::vector<std::string> names;
    for (const ParameterInfo& p : net.graph.parameters()) names.push_back(p.name);
    EXPECT_EQ(names, (std::vector<std::string>{"0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked", "4.weight", "4.bias"}));
    EXPECT_EQ(net.graph.find("1").node().attrs.real("eps"), 0.001);
}

TEST(TorchListing, TakesNamedModulesAndSums) {
    const Listing net = read_listing(R"(import torch.nn as nn
model = nn.Sequential(OrderedDict([("conv", nn.Conv2d(3, 2 * 4, 3, padding="same", groups=1)), ("flat", nn.Flatten()), ("fc", nn.Linear(8 * 5 * 5, 10 - 3))])))", "named", {.height = 5, .width = 5});
    EXPECT_EQ(net.graph.find_parameter("conv.weight")->type.shape, (Shape{8, 3, 3, 3}));
    EXPECT_EQ(net.graph.find_parameter("fc.weight")->type.shape, (Shape{7, 200}));
}

TEST(TorchListing, IsRefusedWithTheSizesFound) {
    const std::string text = refusal(R"(nn.Sequential(
    nn.Conv2d(3, 8, 5, padding=2), nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
    nn.Linear(16 * 7 * 7, 10)))",
                                     {.height = 32, .width = 32});
    EXPECT_EQ(text,
              "listing 'mine': line 4: Linear(16 * 7 * 7, 10): in_features 16 * 7 * 7 = 784 and gets 16 x 8 x 8 (1024 values); no nn.Flatten stands before it; the convolution of line 3 has stride 2; "
              "sizes so far: line 2 Conv2d 8 x 32 x 32, line 2 MaxPool2d 8 x 16 x 16, line 3 Conv2d 16 x 8 x 8 (input 3 x 32 x 32)");
    EXPECT_TRUE(has(refusal("nn.Sequential(\nnn.Conv2d(3, 8, 3),\nnn.Conv2d(16, 8, 3))"), "line 3: Conv2d(16, 8, 3): it takes 16 channels and gets 8"));
    EXPECT_TRUE(has(refusal("nn.Sequential(nn.Conv2d(3, 8, kernal_size=3))"), "line 1: Conv2d has no argument 'kernal_size'; nearest: kernel_size"));
    EXPECT_TRUE(has(refusal("nn.Sequential(nn.Cov2d(3, 8, 3))"), "no module 'nn.Cov2d' is known; nearest: Conv2d"));
    EXPECT_TRUE(has(refusal("nn.Sequential(nn.ReLU()"), "the brackets of Sequential are not closed"));
    EXPECT_TRUE(has(refusal("nn.Sequential(nn.Conv2d(3, 8, 1.5))"), "Conv2d's kernel_size is a whole number from 1 to 1024, got 1.5"));
    EXPECT_TRUE(has(refusal("nn.Sequential()"), "holds no module"));
}

TEST(Listing, IsComparedWithTheNetworkItMeans) {
    const Listing vgg = read_listing(R"(
        template <int N, typename S> using c = relu<con<N,3,3,1,1,S>>;
        template <typename S> using p = max_pool<2,2,2,2,S>;
        fc<1000, relu<fc<64, relu<fc<64, p<c<512, p<c<512,c<512, p<c<256,c<256, p<c<128, p<c<64, input_rgb_image<>)", "vgg");
    EXPECT_TRUE(has(all(vgg.notes), "7 convolutions + 3 fully connected = 10 layers, 1-1-2-2-1 per block: no configuration of VGG")) << all(vgg.notes);
    const Listing gaps = read_listing("fc<2, max_pool<2,2,3,3, input<matrix<float>>>>", "gaps");
    EXPECT_TRUE(has(all(gaps.notes), "takes steps of 3 with a window of 2: pixels between the windows are never read")) << all(gaps.notes);
}

TEST(Listing, OfTheDecksGiveWhatIsPublished) {
    const char* data = std::getenv("FOVEA_DATA");
    if (data == nullptr) GTEST_SKIP() << "FOVEA_DATA is not set";
    const auto load = [&](const char* file, const ListingOptions& options) { return load_listing(std::string(data) + "/listings/" + file, options); };
    const auto reason = [&](const char* file, const ListingOptions& options) { return test::message_of<FormatError>([&] { (void)load(file, options); }); };
    constexpr ListingOptions photo{.channels = 3, .height = 224, .width = 224}, digit{.channels = 1, .height = 28, .width = 28};
    EXPECT_EQ(load("lenet.dlib.txt", digit).graph.trainable_scalars(), 107786);
    EXPECT_EQ(load("lenet.dlib.txt", {.channels = 1, .height = 28, .width = 28, .padded = false}).graph.trainable_scalars(), 44426);
    EXPECT_EQ(load("inception.dlib.txt", digit).graph.trainable_scalars(), 26514);
    EXPECT_TRUE(has(all(load("inception.dlib.txt", {}).notes), "'block_a4' has 1 closing bracket too many"));
    const Listing vgg = load("vgg_2-2-2-4-4.dlib.txt", photo);
    EXPECT_EQ(vgg.graph.trainable_scalars(), 142487080);
    EXPECT_TRUE(has(all(vgg.notes), "14 convolutions + 3 fully connected = 17 layers"));
    EXPECT_TRUE(has(all(load("alexnet.dlib.txt", photo).notes), "the third convolution of the last group has 384 filters, AlexNet's has 256"));
    EXPECT_EQ(load("five_blocks.dlib.txt", photo).graph.trainable_scalars(), find_model("five_blocks").parameters);
    EXPECT_EQ(load("five_blocks.dlib.txt", {.channels = 1, .height = 224, .width = 224}).graph.find_parameter("con1.weight")->type.shape, (Shape{8, 1, 3, 3}));
    const Listing alexnet = load("alexnet.torch.txt", photo);
    EXPECT_EQ(alexnet.graph.trainable_scalars(), 46755202);
    EXPECT_TRUE(alexnet.notes.empty()) << all(alexnet.notes);
    EXPECT_TRUE(has(all(load("lenet.torch.txt", {}).notes), "nn.Linear(120) has no in_features"));
    const std::string a = all(load("vgg11.torch.txt", photo).notes);
    EXPECT_TRUE(has(a, "Dropout2d")) << a;
    EXPECT_TRUE(has(a, "VGG's configuration A (11 layers with weights)")) << a;
    EXPECT_TRUE(has(reason("alexnet_first.torch.txt", {}), "in_features 384 * 7 * 7 = 18816 and gets 384 x 2 x 2"));
    EXPECT_TRUE(has(reason("alexnet_scrambled.dlib.txt", {}), "begins with its input layer and runs downwards"));
}

}  // namespace
}  // namespace fovea
