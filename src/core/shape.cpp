#include <algorithm>

#include "core/text.h"
#include "fovea/core.h"

namespace fovea {

Shape::Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span<const std::int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const std::int64_t> dims) {
    for (std::int64_t dim : dims) push_back(dim);
}

void Shape::push_back(std::int64_t dim) {
    require<ShapeError>(rank_ < max_rank, "a shape has at most {} dimensions", max_rank);
    require<ShapeError>(dim >= 0 || dim == dynamic, "a dimension must not be negative, got {} after {}", dim, *this);
    dims_[static_cast<std::size_t>(rank_++)] = dim;
}

std::int64_t Shape::elements(int first, int last) const {
    std::int64_t product = 1;
    for (int i = first; i < last; ++i) {
        if ((*this)[i] == dynamic) return dynamic;
        require<ShapeError>(!__builtin_mul_overflow(product, (*this)[i], &product), "shape {} has more elements than 2^63", *this);
    }
    return product;
}

std::int64_t Shape::elements() const { return elements(0, rank_); }

bool Shape::is_dynamic() const { return std::ranges::find(dims(), dynamic) != dims().end(); }

std::string Shape::str() const {
    std::string text = "[";
    for (int i = 0; i < rank_; ++i) {
        if (i) text += ", ";
        text += (*this)[i] == dynamic ? (i == 0 ? "N" : "?") : std::to_string((*this)[i]);
    }
    return text + "]";
}

bool operator==(const Shape& a, const Shape& b) { return std::ranges::equal(a.dims(), b.dims()); }

}  // namespace fovea
