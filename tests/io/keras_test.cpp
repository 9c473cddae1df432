#include "files.h"

namespace fovea {
namespace {

// keras_model.h5 has what model.save() writes; every array counts up by 1/8 from its own start (make_keras.py).

TEST(Keras, LayoutsAndNamesBecomePyTorchs) {
    Metadata metadata;
    const Parameters p = load_weights(test::fixture("keras_model.h5"), &metadata);
    EXPECT_EQ(p.names(), (std::vector<std::string>{"conv2d.weight", "conv2d.bias", "batch_normalization.weight", "batch_normalization.bias", "batch_normalization.running_mean",
                                                   "batch_normalization.running_var", "dw.weight", "dw.bias", "dense.weight", "dense.bias"}));
    // kernel [3, 2, 1, 2] -> [2, 1, 3, 2]: what stood at (r, s, c, k) stands at (k, c, r, s).
    EXPECT_EQ(p.at("conv2d.weight").shape(), (Shape{2, 1, 3, 2}));
    EXPECT_EQ(test::values_of(p.at("conv2d.weight")), (std::vector<double>{0, .25, .5, .75, 1, 1.25, .125, .375, .625, .875, 1.125, 1.375}));
    EXPECT_EQ(test::values_of(p.at("batch_normalization.weight")), (std::vector<double>{1, 1.125}));
    EXPECT_EQ(test::values_of(p.at("batch_normalization.running_var")), (std::vector<double>{4, 4.125}));
    // depthwise [2, 2, 2, 1] -> [2, 1, 2, 2]
    EXPECT_EQ(p.at("dw.weight").shape(), (Shape{2, 1, 2, 2}));
    EXPECT_EQ(test::values_of(p.at("dw.weight")), (std::vector<double>{0, .25, .5, .75, .125, .375, .625, .875}));
    // The matrix behind the Flatten took 2 x 2 positions of 2 channels, channels last: row (position, c) becomes column (c, position).
    EXPECT_EQ(p.at("dense.weight").shape(), (Shape{3, 8}));
    const std::vector<double> dense = test::values_of(p.at("dense.weight"));
    for (int k = 0; k < 3; ++k)
        for (int c = 0; c < 2; ++c)
            for (int position = 0; position < 4; ++position) EXPECT_EQ(dense[static_cast<std::size_t>(k * 8 + c * 4 + position)], ((position * 2 + c) * 3 + k) / 8.0);
    EXPECT_TRUE(metadata.contains("model_config"));
}

TEST(Keras, WeightsAlonePackedAndInDoublesAreTheSame) {
    const Parameters p = load_weights(test::fixture("keras_model.h5")), q = load_weights(test::fixture("keras_weights_gzip_f64.h5"));
    EXPECT_EQ(p.names(), q.names());
    for (const std::string& name : p.names()) {
        EXPECT_EQ(q.at(name).dtype(), DType::f32);
        EXPECT_EQ(test::values_of(p.at(name)), test::values_of(q.at(name))) << name;
    }
}

TEST(Keras, NothingOutsideTheFileIsRead) {
    EXPECT_EQ(test::message_of<FormatError>([] { (void)load_weights(test::fixture("keras_outside.h5")); }),
              "load '" + test::fixture("keras_outside.h5") + "': 'k:0' is a link, not data of this file");
    EXPECT_EQ(test::message_of<FormatError>([] { (void)load_weights(test::fixture("keras_external.h5")); }),
              "load '" + test::fixture("keras_external.h5") + "': the values of 'k:0' lie in another file");
}

TEST(Keras, AnotherHdf5FileIsRefused) {
    EXPECT_EQ(test::message_of<FormatError>([] { (void)load_weights(test::fixture("plain.h5")); }),
              "load '" + test::fixture("plain.h5") + "': an HDF5 file without Keras' layer_names; of Keras 3 save the whole model as .h5");
}

}  // namespace
}  // namespace fovea
