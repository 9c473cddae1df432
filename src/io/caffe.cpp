// Caffe's .caffemodel: layers by name, each with its blobs, in the three forms that Caffe has written since 2013.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/text.h"
#include "io/caffe.pb.h"
#include "io/cursor.h"
#include "io/prototxt.h"
#include "io/readers.h"

namespace fovea {

namespace {

using Bytes = std::span<const std::byte>;

// ---- the wire format, as far as telling a network from anything else needs ----

/// Reads a base-128 number; false past the end.
bool take_varint(Bytes& bytes, std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
        const auto byte = std::to_integer<std::uint64_t>(bytes[0]);
        bytes = bytes.subspan(1);
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) return true;
    }
    return false;
}

/// Calls f(field, payload) for each field; false when the bytes are no message.
template <class F> bool for_each_field(Bytes bytes, F&& f) {
    while (!bytes.empty()) {
        std::uint64_t tag = 0, length = 0;
        if (!take_varint(bytes, tag) || tag >> 3 == 0) return false;
        switch (tag & 7) {
            case 0:
                if (!take_varint(bytes, length)) return false;
                length = 0;
                break;
            case 1: length = 8; break;
            case 2:
                if (!take_varint(bytes, length)) return false;
                break;
            case 5: length = 4; break;
            default: return false;
        }
        if (length > bytes.size()) return false;
        if (!f(tag >> 3, bytes.first(length))) return false;
        bytes = bytes.subspan(length);
    }
    return true;
}

// ---- layers of any age ----

struct CaffeLayer {
    std::string name, type, bottom, top;
    bool is_transposed = false;
    std::vector<const caffe::BlobProto*> blobs;
};

std::string type_of(const caffe::V1LayerParameter& layer) {
    switch (layer.type()) {
        case 4: return "Convolution";
        case 14: return "InnerProduct";
        case 39: return "Deconvolution";
        default: return "";
    }
}

std::vector<CaffeLayer> layers_of(const caffe::NetParameter& net) {
    std::vector<CaffeLayer> layers;
    for (const auto& layer : net.layers()) {
        const bool is_oldest = layer.has_layer();
        CaffeLayer& to = layers.emplace_back();
        to.name = is_oldest ? layer.layer().name() : layer.name();
        const std::string& text = layer.layer().type();
        to.type = !is_oldest ? type_of(layer) : text == "conv" ? "Convolution" : text == "innerproduct" ? "InnerProduct" : text;
        for (const auto& blob : is_oldest ? layer.layer().blobs() : layer.blobs()) to.blobs.push_back(&blob);
    }
    for (const auto& layer : net.layer()) {
        CaffeLayer& to = layers.emplace_back();
        to.name = layer.name(), to.type = layer.type();
        if (layer.bottom_size() > 0) to.bottom = layer.bottom(0);
        if (layer.top_size() > 0) to.top = layer.top(0);
        to.is_transposed = layer.inner_product_param().transpose();
        for (const auto& blob : layer.blobs()) to.blobs.push_back(&blob);
    }
    std::erase_if(layers, [](const CaffeLayer& layer) { return layer.blobs.empty(); });
    return layers;
}

class CaffeNamer {
public:
    explicit CaffeNamer(std::string_view file) : file_(file) {}

    Parameters name(const std::vector<CaffeLayer>& layers) {
        for (std::size_t i = 0; i < layers.size(); ++i) {
            const CaffeLayer& layer = layers[i];
            if (layer.type == "BatchNorm" && layer.blobs.size() == 3) {
                // PyTorch's batch norm is Caffe's BatchNorm and the Scale on top of it; both get the first one's name.
                const bool has_scale = i + 1 < layers.size() && layers[i + 1].type == "Scale" && layers[i + 1].bottom == layer.top;
                if (has_scale) plain(layers[i + 1], layer.name);
                statistics(layer);
                i += has_scale ? 1 : 0;
            } else {
                plain(layer, layer.name);
            }
        }
        require<FormatError>(parameters_.size() > 0, "load '{}': a Caffe network without weights", file_);
        return std::move(parameters_);
    }

private:
    void put(const std::string& layer, std::string_view what, const Tensor& tensor) {
        const std::string path = fmt::format("{}.{}", layer, what);
        require<FormatError>(!parameters_.has(path), "load '{}': '{}' stands twice", file_, path);
        parameters_.set(path, tensor);
    }

    Tensor tensor_of(const caffe::BlobProto& blob, std::string_view layer) const {
        std::vector<std::int64_t> sizes(blob.shape().dim().begin(), blob.shape().dim().end());
        if (!blob.has_shape()) sizes = {blob.num(), blob.channels(), blob.height(), blob.width()};
        require<FormatError>(sizes.size() <= Shape::max_rank, "load '{}': a blob of '{}' has {} dimensions, at most {} are read", file_, layer, sizes.size(), Shape::max_rank);
        const bool is_double = blob.data_size() == 0 && blob.double_data_size() > 0;
        const std::int64_t given = is_double ? blob.double_data_size() : blob.data_size();
        std::int64_t count = 1;
        bool fits = true;
        for (const std::int64_t size : sizes) fits = fits && size >= 0 && !__builtin_mul_overflow(count, size, &count);
        require<FormatError>(fits && count == given, "load '{}': a blob of '{}' is [{}] but has {} values", file_, layer, fmt::join(sizes, ", "), given);
        Tensor tensor{Shape(std::span<const std::int64_t>(sizes))};
        const auto to = tensor.data<float>();
        for (std::int64_t i = 0; is_double && i < given; ++i) to[static_cast<std::size_t>(i)] = static_cast<float>(blob.double_data(static_cast<int>(i)));
        if (!is_double) std::copy(blob.data().begin(), blob.data().end(), to.begin());
        return tensor;
    }
    /// [1, 1, 1, K] -> [K]: files older than `shape` pad with ones in front.
    static Tensor without_leading_ones(const Tensor& tensor, int rank) {
        Shape shape = tensor.shape();
        while (shape.rank() > rank && shape[0] == 1) shape = Shape(shape.dims().subspan(1));
        return tensor.reshape(shape);
    }

    void plain(const CaffeLayer& layer, const std::string& path) {
        for (std::size_t i = 0; i < layer.blobs.size(); ++i) {
            Tensor tensor = tensor_of(*layer.blobs[i], layer.name);
            const bool is_weight = i == 0, is_matrix = layer.type == "InnerProduct" || layer.type == "Embed";
            const bool is_kernel = is_weight && tensor.shape().rank() == 4 && !is_matrix && layer.type != "PReLU" && layer.type != "Scale";
            if (!is_kernel) tensor = without_leading_ones(tensor, is_weight && is_matrix ? 2 : 1);
            if (is_weight && is_matrix && layer.is_transposed && tensor.shape().rank() == 2) tensor = transposed(tensor);
            put(path, i == 0 ? "weight" : i == 1 ? "bias" : std::to_string(i), tensor);
        }
    }

    /// Sums of means and variances, and how many of them were summed.
    void statistics(const CaffeLayer& layer) {
        const Tensor factor = tensor_of(*layer.blobs[2], layer.name);
        require<FormatError>(factor.elements() == 1, "load '{}': BatchNorm '{}' has {} factors, expected 1", file_, layer.name, factor.elements());
        const double scale = factor.at(0) == 0 ? 0 : 1 / factor.at(0);
        for (std::size_t i = 0; i < 2; ++i) {
            Tensor tensor = without_leading_ones(tensor_of(*layer.blobs[i], layer.name), 1);
            for (float& value : tensor.data<float>()) value = static_cast<float>(value * scale);
            put(layer.name, i == 0 ? "running_mean" : "running_var", tensor);
        }
    }

    std::string_view file_;
    Parameters parameters_;
};

/// A deploy.prototxt says which layers are meant: the file of a training run may hold more, and must not hold less.
std::vector<CaffeLayer> chosen(std::vector<CaffeLayer> layers, const Source& prototxt, std::string_view file) {
    std::vector<CaffeLayer> result;
    for (const PrototxtLayer& wanted : read_prototxt(prototxt)) {
        const auto it = std::ranges::find(layers, wanted.name, &CaffeLayer::name);
        if (it == layers.end()) {
            require<FormatError>(wanted.outputs == 0, "load '{}': '{}' wants weights of layer '{}', the file has none", file, prototxt.name, wanted.name);
            continue;
        }
        // The first size of a kernel or matrix is num_output; a deconvolution has it second.
        const caffe::BlobProto& blob = *it->blobs[0];
        const bool is_old = !blob.has_shape();
        const std::int64_t rows = is_old ? (it->type == "InnerProduct" ? blob.height() : blob.num()) : blob.shape().dim_size() > 0 ? blob.shape().dim(0) : 0;
        const bool is_plain = (it->type == "Convolution" || it->type == "InnerProduct") && !it->is_transposed;
        require<FormatError>(wanted.outputs == 0 || !is_plain || rows == wanted.outputs, "load '{}': layer '{}' has {} outputs, '{}' says {}", file, wanted.name, rows, prototxt.name,
                             wanted.outputs);
        result.push_back(*it);
    }
    return result;
}

}  // namespace

bool looks_like_caffe(Bytes bytes) {
    constexpr std::size_t most_layers = 100'000, most_blobs = 1'000;
    if (bytes.empty()) return false;
    std::size_t layers = 0;
    const bool is_message = for_each_field(bytes, [&](std::uint64_t field, Bytes payload) {
        if (field != 2 && field != 100) return field <= 8;  // name, inputs, force_backward, state, debug_info
        // Counted before anything is made of them: an empty blob takes two bytes in the file and a hundred in memory.
        std::size_t parts = 0;
        return ++layers <= most_layers && for_each_field(payload, [&](std::uint64_t, Bytes) { return ++parts <= most_blobs; });
    });
    return is_message && layers > 0;
}

Parameters read_caffe(const Source& source, const Source* prototxt, Metadata* metadata) {
    require<FormatError>(source.bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()), "load '{}': protobuf reads at most 2 GiB, the file has {} bytes", source.name,
                         source.bytes.size());
    caffe::NetParameter net;
    require<FormatError>(looks_like_caffe(source.bytes) && net.ParsePartialFromArray(source.bytes.data(), static_cast<int>(source.bytes.size())), "load '{}': a damaged Caffe network", source.name);
    if (metadata != nullptr && net.has_name()) (*metadata)["name"] = net.name();
    std::vector<CaffeLayer> layers = layers_of(net);
    if (prototxt != nullptr) layers = chosen(std::move(layers), *prototxt, source.name);
    return CaffeNamer(source.name).name(layers);
}

}  // namespace fovea
