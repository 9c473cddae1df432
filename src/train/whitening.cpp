// The filters that make the patches of a data set uncorrelated and of equal size: how a first convolution may begin.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <span>
#include <tuple>
#include <vector>

#include "core/text.h"
#include "fovea/train.h"

namespace fovea {

namespace {

using Matrix = std::vector<std::vector<double>>;

/// Sums of products of each two values of a k x k patch, over all patches of `images` [N, C, H, W]; their number is added to `patches`.
void add_moments(Matrix& moments, double& patches, const Tensor& images, std::int64_t kernel) {
    const Shape& shape = images.shape();
    const std::int64_t height = shape[2] - kernel + 1, width = shape[3] - kernel + 1;
    const std::span<const float> pixels = images.data<float>();
    const auto row = [&](std::int64_t n, std::size_t value, std::int64_t y) {
        const auto i = static_cast<std::int64_t>(value);
        const std::int64_t c = i / (kernel * kernel), r = i / kernel % kernel, s = i % kernel;
        return &pixels[static_cast<std::size_t>(((n * shape[1] + c) * shape[2] + y + r) * shape[3] + s)];
    };
    for (std::int64_t n = 0; n < shape[0]; ++n)
        for (std::int64_t y = 0; y < height; ++y)
            for (std::size_t i = 0; i < moments.size(); ++i)
                for (std::size_t j = 0; j <= i; ++j) moments[i][j] += std::inner_product(row(n, i, y), row(n, i, y) + width, row(n, j, y), 0.0);
    patches += static_cast<double>(shape[0] * height * width);
}

/// Eigenvalues on the diagonal of the symmetric matrix `a`, eigenvectors in the rows of the result: Jacobi's rotations, each of which makes one
/// element 0 (Golub, Van Loan, Matrix Computations, sec. 8.5). A patch has a few dozen values: no library is needed for so little.
Matrix diagonalize(Matrix& a) {
    const std::size_t size = a.size();
    Matrix vectors(size, std::vector<double>(size, 0));
    for (std::size_t i = 0; i < size; ++i) vectors[i][i] = 1;
    const auto off_diagonal = [&] {
        double sum = 0;
        for (std::size_t p = 0; p < size; ++p)
            for (std::size_t q = 0; q < p; ++q) sum += a[p][q] * a[p][q];
        return sum;
    };
    double trace = 0;
    for (std::size_t i = 0; i < size; ++i) trace += std::abs(a[i][i]);
    // Sweeps converge quadratically; some six of them reach rounding.
    for (int sweep = 0; sweep < 30 && off_diagonal() > 1e-28 * trace * trace; ++sweep)
        for (std::size_t p = 0; p < size; ++p)
            for (std::size_t q = p + 1; q < size; ++q) {
                if (a[p][q] == 0) continue;
                const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]), t = std::copysign(1, theta) / (std::abs(theta) + std::hypot(1, theta)), c = 1 / std::hypot(1, t), s = t * c;
                const auto rotate = [&](double& x, double& y) { std::tie(x, y) = std::pair(c * x - s * y, s * x + c * y); };
                for (std::size_t k = 0; k < size; ++k) rotate(a[k][p], a[k][q]);
                for (std::size_t k = 0; k < size; ++k) rotate(a[p][k], a[q][k]);
                for (std::size_t k = 0; k < size; ++k) rotate(vectors[p][k], vectors[q][k]);
            }
    return vectors;
}

}  // namespace

Tensor whitening_filters(const DatasetPtr& dataset, const Preprocess& preprocess, const Shape& shape, double eps) {
    require<ShapeError>(shape.rank() == 4 && shape[2] == shape[3] && shape[0] % 2 == 0 && shape[0] <= 2 * shape[1] * shape[2] * shape[3],
                        "whitening filters are a weight [K, C, k, k] with an even K of at most 2 C k k, not {}", shape);
    const std::int64_t kernel = shape[2];
    const auto size = static_cast<std::size_t>(shape[1] * kernel * kernel);
    Matrix moments(size, std::vector<double>(size, 0));
    double patches = 0;
    std::int64_t pictures = 0;
    const Loader loader(dataset, {.batch = 500, .shuffle = true, .threads = 0, .preprocess = preprocess});
    for (const Batch& batch : loader.epoch(0)) {
        const Shape& images = batch.images.shape();
        require<ShapeError>(images[1] == shape[1] && images[2] >= kernel && images[3] >= kernel, "whitening filters {} do not fit pictures {}", shape, images);
        add_moments(moments, patches, batch.images, kernel);
        if ((pictures += images[0]) >= 5000) break;
    }
    require(patches > 0, "whitening filters: '{}' gave no picture", dataset->name());
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j <= i; ++j) moments[i][j] /= patches, moments[j][i] = moments[i][j];
    const Matrix vectors = diagonalize(moments);
    std::vector<std::size_t> order(size);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater(), [&](std::size_t i) { return moments[i][i]; });

    Tensor filters(shape, DType::f32);
    const std::size_t half = static_cast<std::size_t>(shape[0]) / 2;
    for (std::size_t k = 0; k < half; ++k) {
        const std::vector<double>& vector = vectors[order[k]];
        // An eigenvector's sign is anyone's choice: the largest element is positive here.
        const double largest = *std::ranges::max_element(vector, {}, [](double v) { return std::abs(v); });
        const double scale = std::copysign(1 / std::sqrt(std::max(0.0, moments[order[k]][order[k]]) + eps), largest);
        for (std::size_t i = 0; i < size; ++i) {
            filters.set(static_cast<std::int64_t>(k * size + i), scale * vector[i]);
            filters.set(static_cast<std::int64_t>((k + half) * size + i), -scale * vector[i]);
        }
    }
    return filters;
}

}  // namespace fovea
