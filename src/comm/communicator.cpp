// What is the same over every transport: small values and texts, told by all to all.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/text.h"
#include "fovea/comm.h"

namespace fovea {

std::vector<double> summed(Communicator* ranks, std::vector<double> values) {
    if (ranks == nullptr || ranks->size() == 1) return values;
    std::vector<double> all(values.size() * static_cast<std::size_t>(ranks->size()));
    ranks->all_gather(std::as_bytes(std::span(values)), std::as_writable_bytes(std::span(all)));
    std::ranges::fill(values, 0);
    for (std::size_t i = 0; i < all.size(); ++i) values[i % values.size()] += all[i];
    return values;
}

std::vector<std::int64_t> gathered(Communicator* ranks, std::int64_t value) {
    if (ranks == nullptr) return {value};
    std::vector<std::int64_t> all(static_cast<std::size_t>(ranks->size()));
    ranks->all_gather(std::as_bytes(std::span(&value, 1)), std::as_writable_bytes(std::span(all)));
    return all;
}

std::vector<std::string> gathered(Communicator* ranks, std::string_view text) {
    if (ranks == nullptr) return {std::string(text)};
    const std::vector<std::int64_t> lengths = gathered(ranks, std::ssize(text));
    const auto longest = static_cast<std::size_t>(*std::ranges::max_element(lengths));
    std::string mine(text), all(longest * lengths.size(), '\0');
    mine.resize(longest);
    if (longest > 0) ranks->all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
    std::vector<std::string> texts;
    for (std::size_t r = 0; r < lengths.size(); ++r) texts.push_back(all.substr(r * longest, static_cast<std::size_t>(lengths[r])));
    return texts;
}

std::string from_first(Communicator* ranks, std::string_view text) {
    if (ranks == nullptr || ranks->size() == 1) return std::string(text);
    std::int64_t length = std::ssize(text);
    ranks->broadcast(std::as_writable_bytes(std::span(&length, 1)), 0);
    std::string result = ranks->rank() == 0 ? std::string(text) : std::string(static_cast<std::size_t>(length), '\0');
    if (length > 0) ranks->broadcast(std::as_writable_bytes(std::span(result)), 0);
    return result;
}

Tensor from_first(Communicator* ranks, const Tensor& tensor, const Shape& shape, DType dtype) {
    if (ranks == nullptr || ranks->size() == 1) return tensor;
    Tensor result(shape, dtype);
    if (ranks->rank() == 0) std::memcpy(result.raw(), tensor.raw(), result.bytes());
    if (result.bytes() > 0) ranks->broadcast({result.raw(), result.bytes()}, 0);
    return result;
}

}  // namespace fovea
