// LeNet-5 of 1998: sparse third layer, trained subsampling, scaled tanh, distances to fixed bitmaps.
// LeCun, Bottou, Bengio, Haffner: "Gradient-Based Learning Applied to Document Recognition", sec. II.B. 60,000 trainable scalars.
#include <array>
#include <string_view>

#include "models/build.h"

namespace fovea {

namespace {

/// Table I: the maps of S2 that each map of C3 sees.
constexpr std::string_view c3_inputs[16] = {"012", "123", "234", "345", "045", "015", "0123", "1234", "2345", "0345", "0145", "0125", "0134", "1245", "0235", "012345"};

Tensor c3_mask() {
    Tensor mask(Shape{16, 6, 5, 5});
    for (std::int64_t k = 0; k < 16; ++k)
        for (const char map : c3_inputs[k])
            for (std::int64_t i = 0; i < 25; ++i) mask.set((k * 6 + (map - '0')) * 25 + i, 1);
    return mask;
}

/// The digits 0 to 9 as bitmaps of 7 x 12, # ink (+1) and . paper (-1): the target codes of fig. 3, redrawn.
constexpr std::array<std::string_view, 12> bitmaps = {
    "....... ....... ....... ....... ....... ....... ....... ....... ....... .......",
    "..###.. ...#... ..###.. .#####. ....#.. ######. ...###. ####### ..###.. ..###..",
    ".#...#. ..##... .#...#. .....#. ...##.. #...... ..#.... ......# .#...#. .#...#.",
    "#.....# .#.#... #.....# ....#.. ..#.#.. #...... .#..... .....#. #.....# #.....#",
    "#.....# ...#... ......# ...#... .#..#.. #...... #...... .....#. .#...#. #.....#",
    "#.....# ...#... .....#. ..###.. #...#.. #####.. #.###.. ....#.. ..###.. .#...##",
    "#.....# ...#... ....#.. .....#. #...#.. .....#. ##...#. ....#.. .#...#. ..###.#",
    "#.....# ...#... ...#... ......# ####### ......# #.....# ...#... #.....# ......#",
    "#.....# ...#... ..#.... ......# ....#.. ......# #.....# ...#... #.....# .....#.",
    ".#...#. ...#... .#..... #....#. ....#.. #....#. .#...#. ..#.... .#...#. ....#..",
    "..###.. .#####. ####### .####.. ....#.. .####.. ..###.. ..#.... ..###.. .###...",
    "....... ....... ....... ....... ....... ....... ....... ....... ....... .......",
};

Tensor bitmap_codes(std::int64_t classes) {
    Tensor codes(Shape{classes, 84});
    const Rng rng(0, hash_name("lenet5_classic codes"));
    for (std::int64_t j = 0; j < classes; ++j)
        for (std::int64_t i = 0; i < 84; ++i) {
            // Classes that are not digits get codes drawn at random, far from each other with high probability.
            const bool ink = classes == 10 ? bitmaps[static_cast<std::size_t>(i / 7)][static_cast<std::size_t>(8 * j + i % 7)] == '#'
                                           : rng.below(static_cast<std::uint64_t>(j * 84 + i), 2) == 1;
            codes.set(j * 84 + i, ink ? 1 : -1);
        }
    return codes;
}

/// 1.7159 tanh(2 x / 3), whose value at +-1 is +-1. The first use is the module "act".
Value squash(const Value& x, std::string_view name = {}) { return scaled_tanh(x, {}, name); }

/// Uniform in +-2.4 / inputs, the paper's choice (sec. II.B and appendix A).
Init by_inputs(double inputs) { return Init::uniform(-2.4 / inputs, 2.4 / inputs); }

Graph build_lenet5_classic(const ModelCard&, const ModelOptions& options) {
    Graph net;
    const Value centres = net.parameter("rbf", {options.classes, 84}, {.kind = Init::Kind::values, .values = bitmap_codes(options.classes)}, /*is_trainable=*/false);
    Value x = image_input(net, options);
    const double first = 25.0 * static_cast<double>(options.channels);
    x = squash(conv2d(x, {.out = 6, .kernel = 5, .init = by_inputs(first), .bias_init = by_inputs(first)}, "c1"), "act");
    x = squash(subsample(x, 2, "s2"));
    {
        // Weights that connect nothing are multiplied by 0: they and their gradients have no effect. Their start is 0 as well.
        const Tensor mask = c3_mask();
        Tensor start(mask.shape());
        const Rng rng(0, hash_name("lenet5_classic c3"));
        std::int64_t connected = 0;
        for (std::int64_t k = 0; k < 16; ++k) {
            const double bound = 2.4 / (25.0 * static_cast<double>(c3_inputs[k].size()));
            for (std::int64_t i = k * 150; i < (k + 1) * 150; ++i) {
                if (mask.at(i) == 0) continue;
                start.set(i, bound * (2 * rng.uniform(static_cast<std::uint64_t>(i)) - 1));
                ++connected;
            }
        }
        const Value weight = net.parameter("c3.weight", mask.shape(), {.kind = Init::Kind::values, .values = start}), bias = net.parameter("c3.bias", {16}, by_inputs(100));
        net.set_fixed_scalars("c3.weight", mask.elements() - connected);
        x = squash(conv2d(x, weight * net.constant(mask, "c3.connected"), bias, {}, "c3"));
    }
    x = squash(subsample(x, 2, "s4"));
    x = squash(conv2d(x, {.out = 120, .kernel = 5, .init = by_inputs(400), .bias_init = by_inputs(400)}, "c5"));
    x = squash(linear(flatten(x), {.out = 84, .init = by_inputs(120), .bias_init = by_inputs(120)}, "f6"));
    net.output("out", rbf(x, centres, "rbf_units"));
    return net;
}

/// 28 x 28 in the middle of 32 x 32, paper -0.1 and ink 1.175, so that mean and variance are about 0 and 1. LeCun et al. 1998, sec. II.B.
Preprocess digits_of_1998() {
    Preprocess p = digits(0.1 / 1.275, 1 / 1.275);
    p.crop_width = p.crop_height = 32;
    return p;
}

}  // namespace

std::vector<ModelCard> lenet5_classic_cards() {
    return {
        {.name = "lenet5_classic", .aliases = {"lenet5_1998"}, .family = "lenet", .year = 1998, .paper = paper_lenet,
         .summary = "LeNet-5 of the paper: sparse C3, trained subsampling, scaled tanh, distances to bitmaps",
         .channels = 1, .height = 32, .width = 32, .classes = 10, .preprocess = digits_of_1998(), .parameters = 60000, .macs = 415680,
         .accuracy = "MNIST error 0.95 %, 0.8 % with distorted training images (paper, sec. III)", .loss = ModelLoss::label_distance, .build = build_lenet5_classic},
    };
}

}  // namespace fovea
