// Overlapping tiles. Ronneberger et al. 2015, arXiv:1505.04597, sec. 2 and fig. 2; mirrored as their code does, which repeats no edge.
#include <algorithm>

#include "core/text.h"
#include "fovea/data/segmentation.h"
#include "image/reflect.h"

namespace fovea {

namespace {

/// Where tiles of `out` begin that cover [0, size).
std::vector<std::int64_t> starts(std::int64_t size, std::int64_t out) {
    std::vector<std::int64_t> all;
    for (std::int64_t at = 0; at < size; at += out) all.push_back(std::max<std::int64_t>(std::min(at, size - out), 0));
    return all;
}

void check_sizes(const TileSizes& s) {
    const auto fits = [](std::int64_t in, std::int64_t out) { return out > 0 && in >= out && (in - out) % 2 == 0; };
    require<ArgumentError>(fits(s.in_width, s.out_width) && fits(s.in_height, s.out_height), "tiles: the network sees {}x{} and answers {}x{}; what it answers lies in the middle, with whole pixels around it",
                           s.in_width, s.in_height, s.out_width, s.out_height);
}

void require_images(const Tensor& images) {
    require<ShapeError>(images.shape().rank() == 4 && images.elements() > 0 && images.dtype() == DType::f32, "tiles are cut from f32 [N, C, H, W], got {} {}", name_of(images.dtype()), images.shape());
}

}  // namespace

std::vector<Tile> overlap_tiles(std::int64_t width, std::int64_t height, const TileSizes& s) {
    check_sizes(s);
    require<ArgumentError>(width > 0 && height > 0, "tiles: the picture is empty ({}x{})", width, height);
    const std::int64_t left = (s.in_width - s.out_width) / 2, top = (s.in_height - s.out_height) / 2;
    std::vector<Tile> tiles;
    for (const std::int64_t y : starts(height, s.out_height))
        for (const std::int64_t x : starts(width, s.out_width)) tiles.push_back({{x - left, y - top, s.in_width, s.in_height}, {x, y, s.out_width, s.out_height}});
    return tiles;
}

Tensor mirrored_part(const Tensor& images, const PixelRect& part) {
    require_images(images);
    require<ArgumentError>(part.width > 0 && part.height > 0, "tiles: a part of {}x{} is empty", part.width, part.height);
    const std::int64_t N = images.shape()[0], C = images.shape()[1], H = images.shape()[2], W = images.shape()[3];
    std::vector<std::int64_t> columns;
    for (std::int64_t x = 0; x < part.width; ++x) columns.push_back(reflected(part.x + x, W));
    Tensor result({N, C, part.height, part.width});
    const float* source = images.data<float>().data();
    float* target = result.data<float>().data();
    for (std::int64_t p = 0; p < N * C; ++p)
        for (std::int64_t y = 0; y < part.height; ++y) {
            const float* row = source + (p * H + reflected(part.y + y, H)) * W;
            for (const std::int64_t x : columns) *target++ = row[x];
        }
    return result;
}

Tensor run_in_tiles(const Tensor& images, const TileSizes& sizes, const std::function<Tensor(const Tensor&)>& network) {
    require_images(images);
    const std::int64_t N = images.shape()[0], H = images.shape()[2], W = images.shape()[3];
    Tensor result;
    for (const Tile& tile : overlap_tiles(W, H, sizes)) {
        const Tensor answer = network(mirrored_part(images, tile.in));
        const Shape& shape = answer.shape();
        require<ShapeError>(shape.rank() == 4 && shape[0] == N && shape[2] == sizes.out_height && shape[3] == sizes.out_width && (result.is_empty() || shape[1] == result.shape()[1]),
                            "tiles: the network gave {} for [{}, {}, {}, {}], expected [{}, {}, {}, {}]", shape, N, images.shape()[1], sizes.in_height, sizes.in_width, N,
                            result.is_empty() ? "L" : std::to_string(result.shape()[1]), sizes.out_height, sizes.out_width);
        if (result.is_empty()) result = Tensor({N, shape[1], H, W});
        const std::int64_t width = std::min(sizes.out_width, W), height = std::min(sizes.out_height, H);
        const float* from = answer.data<float>().data();
        float* to = result.data<float>().data();
        for (std::int64_t p = 0; p < N * shape[1]; ++p)
            for (std::int64_t y = 0; y < height; ++y)
                std::copy_n(from + (p * sizes.out_height + y) * sizes.out_width, width, to + (p * H + tile.out.y + y) * W + tile.out.x);
    }
    return result;
}

}  // namespace fovea
