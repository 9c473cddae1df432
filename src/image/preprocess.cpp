// Pixels -> network input, by the conventions of the frameworks that trained the weights.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/image.h"

namespace fovea {

const std::vector<std::string>& preprocess_presets() {
    static const std::vector<std::string> names{"torchvision", "caffe", "keras", "dlib", "darknet", "mnist"};
    return names;
}

Preprocess preprocess_preset(std::string_view name) {
    if (name == "torchvision")
        return {.resize_shorter = 256, .crop_width = 224, .crop_height = 224, .channels = 3, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
    // The mean of ImageNet as its models state it, blue first (Caffe's deploy files; VGG: 103.939 116.779 123.68).
    if (name == "caffe")
        return {.resize_width = 256, .resize_height = 256, .crop_width = 227, .crop_height = 227, .channels = 3, .is_bgr = true, .scale = 1, .mean = {104, 117, 123}};
    if (name == "keras") return {.resize_width = 224, .resize_height = 224, .channels = 3, .scale = 1 / 127.5, .mean = {1, 1, 1}};
    if (name == "dlib")  // input_rgb_image_sized<227>
        return {.resize_width = 227, .resize_height = 227, .channels = 3, .scale = 1.0 / 256, .mean = {122.782 / 256, 117.001 / 256, 104.298 / 256}};
    if (name == "darknet") return {.resize_shorter = 256, .crop_width = 256, .crop_height = 256, .channels = 3};
    if (name == "mnist") return {.resize_width = 28, .resize_height = 28, .channels = 1};
    const auto nearest = nearest_names(name, preprocess_presets());
    fail<ArgumentError>("no preprocess preset '{}'; nearest: {}, {}, {}", name, nearest[0], nearest[1], nearest[2]);
}

Image apply_geometry(const Image& image, const Preprocess& p) {
    require<ArgumentError>(p.channels == 0 || p.channels == 1 || p.channels == 3, "preprocess: channels must be 0 (as the image), 1 or 3, got {}", p.channels);
    require<ArgumentError>((p.resize_width > 0) == (p.resize_height > 0) && (p.crop_width > 0) == (p.crop_height > 0),
                           "preprocess: width and height go together, got resize {}x{}, crop {}x{}", p.resize_width, p.resize_height, p.crop_width, p.crop_height);
    require<ArgumentError>(p.resize_shorter == 0 || p.resize_width == 0, "preprocess: resize to a shorter side of {} or to exactly {}x{}, not both", p.resize_shorter,
                           p.resize_width, p.resize_height);
    Image result = p.resize_shorter > 0 ? resize_shorter_side(image, p.resize_shorter, p.filter)
                   : p.resize_width > 0 ? resize(image, p.resize_width, p.resize_height, p.filter)
                                        : image;
    if (p.crop_width > 0) result = center_crop(result, p.crop_width, p.crop_height);
    return p.channels > 0 && p.channels != result.channels ? with_channels(result, p.channels) : result;
}

NormaliseTable normalise_table(const Preprocess& p) {
    NormaliseTable table{};
    for (std::size_t c = 0; c < 3; ++c) {
        require<ArgumentError>(p.std[c] != 0 && std::isfinite(p.std[c]), "preprocess: std of channel {} is {}", c, p.std[c]);
        for (std::size_t value = 0; value < 256; ++value) table[c][value] = static_cast<float>((static_cast<double>(value) * p.scale - p.mean[c]) / p.std[c]);
    }
    return table;
}

void normalise(std::span<const std::uint8_t> pixels, int channels, bool is_bgr, const NormaliseTable& table, float* planes) {
    const std::size_t count = pixels.size() / static_cast<std::size_t>(channels);
    const std::uint8_t* source = pixels.data();
    if (channels == 1) {
        for (std::size_t i = 0; i < count; ++i) planes[i] = table[0][source[i]];
        return;
    }
    const std::size_t red = is_bgr ? 2 : 0, blue = 2 - red;
    float* const r = planes + red * count;
    float* const g = planes + count;
    float* const b = planes + blue * count;
    for (std::size_t i = 0; i < count; ++i, source += 3) {
        r[i] = table[red][source[0]];
        g[i] = table[1][source[1]];
        b[i] = table[blue][source[2]];
    }
}

Tensor to_tensor(const Image& image, const Preprocess& preprocess) {
    const Image ready = apply_geometry(image, preprocess);
    Tensor tensor(Shape{1, ready.channels, ready.height, ready.width});
    normalise(ready.pixels, ready.channels, preprocess.is_bgr, normalise_table(preprocess), tensor.data<float>().data());
    return tensor;
}

Image to_image(const Tensor& images, std::int64_t index, const Preprocess& p) {
    const Shape& shape = images.shape();
    require<ShapeError>(shape.rank() == 4 && (shape[1] == 1 || shape[1] == 3), "to_image needs [N, 1 or 3, H, W], got {}", shape);
    require<ArgumentError>(index >= 0 && index < shape[0], "to_image: no image {} in {}", index, shape);
    Image image(shape[3], shape[2], static_cast<int>(shape[1]));
    const std::int64_t plane = shape[2] * shape[3];
    const float* values = images.data<float>().data() + index * shape[1] * plane;
    for (std::int64_t c = 0; c < shape[1]; ++c) {
        const auto network = static_cast<std::size_t>(p.is_bgr && shape[1] == 3 ? 2 - c : c);
        for (std::int64_t i = 0; i < plane; ++i) {
            const double pixel = (values[static_cast<std::int64_t>(network) * plane + i] * p.std[network] + p.mean[network]) / p.scale;
            image.pixels[static_cast<std::size_t>(i * shape[1] + c)] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(std::isfinite(pixel) ? pixel : 0), 0.0, 255.0));
        }
    }
    return image;
}

}  // namespace fovea
