// Image: file bytes <-> u8 RGB; resize with Pillow's result; crops; drawing; pixels -> network input.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/core.h"

namespace fovea {

/// Pixels u8, row-major, channels interleaved (HWC): 3 = RGB, 1 = grey. A value type; a copy copies the pixels.
struct Image {
    std::int64_t width = 0, height = 0;
    int channels = 3;
    std::vector<std::uint8_t> pixels;

    Image() = default;
    /// Every byte set to `fill`. Throws ArgumentError unless width, height >= 0 and channels is 1 or 3.
    Image(std::int64_t width, std::int64_t height, int channels, std::uint8_t fill = 0);

    [[nodiscard]] bool is_empty() const { return pixels.empty(); }
    [[nodiscard]] std::uint8_t* row(std::int64_t y) { return pixels.data() + y * width * channels; }
    [[nodiscard]] const std::uint8_t* row(std::int64_t y) const { return pixels.data() + y * width * channels; }
    [[nodiscard]] std::uint8_t at(std::int64_t x, std::int64_t y, int channel = 0) const { return row(y)[x * channels + channel]; }
    friend bool operator==(const Image&, const Image&) = default;
};

/// A rectangle of a picture, in pixels.
struct PixelRect {
    std::int64_t x = 0, y = 0, width = 0, height = 0;
    friend bool operator==(const PixelRect&, const PixelRect&) = default;
};

// ---- files ----------------------------------------------------------------------------------

/// What a decoder accepts: a file of a few bytes may claim a picture of many gigabytes.
struct DecodeLimits {
    std::int64_t max_side = 20'000;
    std::int64_t max_pixels = 256'000'000;
    /// Above 0, a JPEG may come out smaller by 2, 4 or 8, the shorter side still twice as long as this: what a resize to it needs, several
    /// times faster for photographs. Pixels after the resize differ a little from those of the whole picture (Pillow's draft mode).
    std::int64_t draft_side = 0;
    /// Called with the picture's size: only this part comes out, and of a JPEG little more is decoded, so that damage elsewhere may stay unseen.
    /// With draft_side the part's shorter side counts, and what comes out is the part as it lies in the smaller picture.
    std::function<PixelRect(std::int64_t width, std::int64_t height)> part{};
};

/// JPEG, PNG, WebP, BMP, PPM or PGM, told apart by their first bytes. `name` is only for messages; `channels` is 3 (RGB) or 1 (grey).
///
/// Pixels equal Pillow's open(...).convert("RGB") or convert("L"):
///   JPEG  libjpeg-turbo's defaults (islow, fancy upsampling); CMYK and YCCK by Adobe's convention; EXIF orientation IS applied
///   PNG   grey, palette and colour of every depth, interlaced or not; alpha is dropped, not composited; no gamma is applied;
///         16 bits keep their high byte (also for grey, where Pillow would clip)
///   WebP  still pictures; alpha is dropped
///   BMP   uncompressed, 1 to 32 bits
///
/// Throws FormatError for anything damaged: truncated files, decoder warnings about corrupt data, sizes beyond `limits`.
[[nodiscard]] Image decode_image(std::span<const std::byte> bytes, std::string_view name, int channels = 3, const DecodeLimits& limits = {});
[[nodiscard]] Image read_image(const std::filesystem::path& path, int channels = 3, const DecodeLimits& limits = {});
[[nodiscard]] std::vector<std::byte> encode_png(const Image& image);
/// Written beside `path` first and then renamed: a reader never sees half a file.
void write_png(const std::filesystem::path& path, const Image& image);

// ---- geometry -------------------------------------------------------------------------------

enum class Filter : std::uint8_t { nearest, box, bilinear, hamming, bicubic, lanczos };
[[nodiscard]] std::string_view name_of(Filter filter);
/// Throws ArgumentError naming the nearest filters.
[[nodiscard]] Filter filter_of(std::string_view name);

/// Pillow's Image.resize: the filter is widened when shrinking (anti-aliasing), 22-bit fixed-point weights, horizontal pass
/// first, u8 between the passes.
[[nodiscard]] Image resize(const Image& image, std::int64_t width, std::int64_t height, Filter filter = Filter::bilinear);
/// A part of what resize() gives, and only that is computed: the same pixels. `source` needs to be no more than the rectangle `at` of a picture
/// of `size` (width, height) that the part depends on, see resize_source(); throws ArgumentError when it is less.
[[nodiscard]] Image resize_part(const Image& source, const PixelRect& at, std::array<std::int64_t, 2> size, std::int64_t width, std::int64_t height, const PixelRect& part, Filter filter = Filter::bilinear);
[[nodiscard]] PixelRect resize_source(std::array<std::int64_t, 2> size, std::int64_t width, std::int64_t height, const PixelRect& part, Filter filter = Filter::bilinear);
/// torchvision's Resize(side): the longer side becomes int(side * longer / shorter).
[[nodiscard]] std::array<std::int64_t, 2> shorter_side_size(std::int64_t width, std::int64_t height, std::int64_t side);
[[nodiscard]] Image resize_shorter_side(const Image& image, std::int64_t side, Filter filter = Filter::bilinear);
/// The part inside the image; throws ArgumentError when the rectangle leaves it.
[[nodiscard]] Image crop(const Image& image, std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height);
/// torchvision's CenterCrop: offset round((size - crop) / 2) with halves to even; black borders where the image is smaller.
[[nodiscard]] Image center_crop(const Image& image, std::int64_t width, std::int64_t height);
[[nodiscard]] Image pad(const Image& image, std::int64_t left, std::int64_t top, std::int64_t right, std::int64_t bottom, std::uint8_t fill = 0);
[[nodiscard]] Image mirror(const Image& image);         ///< left <-> right
[[nodiscard]] Image flip_vertical(const Image& image);  ///< top <-> bottom
/// 1 or 3 channels. Grey is ITU-R 601 luma in Pillow's fixed point: (19595 R + 38470 G + 7471 B + 32768) >> 16.
[[nodiscard]] Image with_channels(const Image& image, int channels);

// ---- drawing --------------------------------------------------------------------------------

/// On a grey image a colour becomes its luma.
using Colour = std::array<std::uint8_t, 3>;

/// What lies outside the image is left out, for all three.
void fill_rect(Image& image, std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height, Colour colour);
void draw_rect(Image& image, std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height, Colour colour, std::int64_t thickness = 1);
void paste(Image& image, const Image& part, std::int64_t x, std::int64_t y);
/// Built-in 5x7 letters, 6 pixels apart, 8 pixels a line, each pixel `scale` wide; printable ASCII, anything else as a box. '\n' starts a line.
void draw_text(Image& image, std::int64_t x, std::int64_t y, std::string_view text, Colour colour = {255, 255, 255}, int scale = 1);
[[nodiscard]] std::int64_t text_width(std::string_view text, int scale = 1);
inline constexpr std::int64_t text_height = 8;
/// Each pixel becomes factor x factor pixels.
[[nodiscard]] Image enlarge(const Image& image, int factor);

// ---- boxes at a network's input size --------------------------------------------------------

/// How R-CNN fits a box into a square. Girshick et al. 2014, arXiv:1311.2524, appendix A, fig. 7.
enum class BoxShape : std::uint8_t {
    warp,         ///< width and height each to the size, whatever that does to shapes: the paper's own
    square,       ///< the tightest square around it, with what else lies there
    bare_square,  ///< the same without: only the box and its context are shown, the rest is mean
};
struct WarpBoxSpec {
    std::int64_t size = 227;
    std::int64_t context = 16;  ///< pixels of the result around the box that show its surroundings
    BoxShape shape = BoxShape::warp;
    Colour mean;                ///< what lies outside the image: nothing, once the network's mean is taken off
    Filter filter = Filter::bilinear;
};
/// The box and `context` around it as size x size pixels. Throws ArgumentError for a box that has no pixel of the image.
[[nodiscard]] Image warp_box(const Image& image, const PixelRect& box, const WarpBoxSpec& spec);

// ---- pixels -> network input ----------------------------------------------------------------

/// How a network wants its pictures; it travels with the model's card or run. In this order: resize, crop, channels, then
///   value = (pixel * scale - mean[c]) / std[c]       c counts in the network's order (blue first when is_bgr)
struct Preprocess {
    std::int64_t resize_shorter = 0;                  ///< shorter side after the resize; 0: off
    std::int64_t resize_width = 0, resize_height = 0; ///< exact size after the resize, aspect ratio ignored; 0: off
    std::int64_t crop_width = 0, crop_height = 0;     ///< centre crop; 0: off
    Filter filter = Filter::bilinear;
    int channels = 0;                                 ///< 1 or 3; 0: as the image has
    bool is_bgr = false;
    double scale = 1.0 / 255;
    std::array<double, 3> mean{0, 0, 0};
    std::array<double, 3> std{1, 1, 1};

    friend bool operator==(const Preprocess&, const Preprocess&) = default;
};

/// "torchvision", "caffe", "keras", "dlib", "darknet", "mnist". Throws ArgumentError naming the nearest.
///   torchvision  shorter side 256, crop 224, x / 255, ImageNet mean and std
///   caffe        256 x 256, crop 227 (its AlexNet), BGR, 0..255 minus 104 117 123
///   keras        224 x 224, x / 127.5 - 1
///   dlib         227 x 227, (x - [122.782 117.001 104.298]) / 256
///   darknet      256 shorter side, crop 256, x / 255
///   mnist        28 x 28 grey, x / 255
[[nodiscard]] Preprocess preprocess_preset(std::string_view name);
[[nodiscard]] const std::vector<std::string>& preprocess_presets();

/// Only resize, crop and channels: the u8 image whose pixels to_tensor turns into values.
[[nodiscard]] Image apply_geometry(const Image& image, const Preprocess& preprocess);
/// f32 [1, C, H, W].
[[nodiscard]] Tensor to_tensor(const Image& image, const Preprocess& preprocess);
/// Value of every pixel byte, per channel of the network.
using NormaliseTable = std::array<std::array<float, 256>, 3>;
[[nodiscard]] NormaliseTable normalise_table(const Preprocess& preprocess);
/// HWC bytes -> C planes of f32, `channels` (1 or 3) of them, height * width values each.
void normalise(std::span<const std::uint8_t> pixels, int channels, bool is_bgr, const NormaliseTable& table, float* planes);
/// The way back, for pictures: image `index` of f32 [N, C, H, W], values rounded and clipped to 0..255.
[[nodiscard]] Image to_image(const Tensor& images, std::int64_t index, const Preprocess& preprocess);

}  // namespace fovea
