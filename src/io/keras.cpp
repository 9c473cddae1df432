// Keras' .h5: a group per layer, named in the attribute layer_names, its tensors in weight_names (keras/engine/saving.py). TensorFlow's
// layouts become PyTorch's: kernels HWIO -> OIHW, matrices [in, out] -> [out, in], and what a Flatten put channels last, channels first.
#include <algorithm>
#include <map>
#include <optional>

#include <nlohmann/json.hpp>

#include "io/cursor.h"
#include "io/hdf5.h"
#include "io/readers.h"

namespace fovea {

namespace {

/// Permutes the dimensions of f32 values: result dimension d is dimension order[d] of `tensor`.
Tensor permuted(const Tensor& tensor, const std::vector<int>& order) {
    Shape shape;
    for (const int d : order) shape.push_back(tensor.shape()[d]);
    std::vector<std::int64_t> strides;
    for (const int d : order) strides.push_back(tensor.shape().elements(d + 1, tensor.shape().rank()));
    Tensor result(shape);
    const auto from = tensor.data<float>();
    std::vector<std::int64_t> index(order.size(), 0);
    std::int64_t at = 0;
    for (float& value : result.data<float>()) {
        value = from[static_cast<std::size_t>(at)];
        for (std::size_t d = order.size(); d-- > 0;) {
            at += strides[d];
            if (++index[d] < shape[static_cast<int>(d)]) break;
            at -= strides[d] * shape[static_cast<int>(d)];
            index[d] = 0;
        }
    }
    return result;
}

class KerasReader {
public:
    explicit KerasReader(const Source& source) : source_(source), file_(source) {}

    Parameters read(Metadata* metadata) {
        // model.save() has the layers below model_weights, save_weights() at the top.
        const Hdf5File::Object top = file_.root(), root = file_.has(top, "model_weights") ? file_.find(top, "model_weights") : top;
        const auto layers = texts(root, "layer_names");
        check(layers.has_value(), "an HDF5 file without Keras' layer_names; of Keras 3 save the whole model as .h5");
        if (const auto config = texts(top, "model_config"); config && !config->empty()) {
            read_classes(config->front());
            if (metadata != nullptr) (*metadata)["model_config"] = config->front();
        }
        for (const std::string& layer : *layers) read_layer(root, layer);
        check(parameters_.size() > 0, "a Keras file without weights");
        return std::move(parameters_);
    }

private:
    template <class... Args> void check(bool condition, fmt::format_string<Args...> text, Args&&... args) const {
        if (!condition) fail<FormatError>("load '{}': {}", source_.name, fmt::format(text, std::forward<Args>(args)...));
    }

    /// Keras cuts long lists into attributes name0, name1, ...
    std::optional<std::vector<std::string>> texts(Hdf5File::Object object, const std::string& name) const {
        auto all = file_.texts(object, name);
        if (all) return all;
        for (int part = 0;; ++part) {
            const auto more = file_.texts(object, fmt::format("{}{}", name, part));
            if (!more) return all;
            if (!all) all.emplace();
            all->insert(all->end(), more->begin(), more->end());
        }
    }

    /// The class of each layer: {"config": {"layers": [{"class_name": "Conv2D", "config": {"name": "conv1"}}]}}.
    void read_classes(const std::string& text) {
        const auto json = nlohmann::json::parse(text, nullptr, false);
        if (!json.is_object() || !json.contains("config")) return;
        const auto& config = json["config"];
        const auto& layers = config.is_object() && config.contains("layers") ? config["layers"] : config;  // Keras 1 and 2.0: a bare list
        if (!layers.is_array()) return;
        for (const auto& layer : layers) {
            if (!layer.is_object() || !layer.contains("class_name") || !layer["class_name"].is_string() || !layer.contains("config") || !layer["config"].is_object()) continue;
            const auto name = layer["config"].find("name");
            if (name != layer["config"].end() && name->is_string()) classes_[name->get<std::string>()] = layer["class_name"].get<std::string>();
        }
    }
    [[nodiscard]] std::string class_of(const std::string& layer) const {
        if (const auto it = classes_.find(layer); it != classes_.end()) return it->second;
        if (layer.starts_with("flatten")) return "Flatten";
        if (layer.starts_with("global_")) return "GlobalAveragePooling2D";
        return layer.find("transpose") != std::string::npos ? "Conv2DTranspose" : "";
    }

    void read_layer(Hdf5File::Object root, const std::string& layer) {
        const std::string kind = class_of(layer);
        if (kind == "Flatten") is_flat_ = true;
        if (kind.starts_with("Global")) channels_ = 1;  // one value per channel: no order to change
        const Hdf5File::Object group = file_.find(root, layer);
        const auto names = texts(group, "weight_names");
        if (!names) return;
        for (const std::string& name : *names) {
            Tensor value = file_.floats(file_.find(group, name), name);
            // Attributes may name one data set many times: a few bytes each.
            used_ += value.bytes();
            check(used_ <= 64 * source_.bytes.size(), "more than {} bytes of tensors in a file of {}", 64 * source_.bytes.size(), source_.bytes.size());
            put(layer, kind, name, std::move(value));
        }
        if (is_flat_ && !names->empty()) is_flat_ = false, channels_ = 1;
    }

    void put(const std::string& layer, const std::string& kind, const std::string& full, Tensor value) {
        // "conv1/kernel:0", "block/conv1/kernel:0" of a model in a model, "conv1_W_1:0" of Keras 1.
        std::string path = full.substr(0, full.find(':')), last = path;
        std::string prefix = layer;
        if (const std::size_t slash = path.rfind('/'); slash != std::string::npos) {
            last = path.substr(slash + 1);
            std::string inner = path.substr(0, slash);
            std::ranges::replace(inner, '/', '.');
            if (inner == layer || inner.starts_with(layer + ".")) inner.erase(0, layer.size());
            else inner.insert(0, ".");
            // Keras 2.6 and later: "conv1/conv1/kernel:0".
            if (inner == "." + layer) inner.clear();
            prefix += inner;
        } else if (path.starts_with(layer + "_")) {
            last = path.substr(layer.size() + 1);
            if (const std::size_t number = last.find_last_not_of("0123456789"); number != std::string::npos && last[number] == '_' && number > 0) last.resize(number);
        }
        const int rank = value.shape().rank();
        std::string name = last;
        if (last == "kernel" || last == "W" || last == "pointwise_kernel") {
            name = last == "pointwise_kernel" ? "pointwise.weight" : "weight";
            if (rank == 2) {
                if (is_flat_ && channels_ > 1 && value.shape()[0] % channels_ == 0) value = channels_first(value);
                value = transposed(value);
                if (!is_flat_) channels_ = 1;
            } else if (rank > 2) {
                // Spatial dimensions first, then in and out (a transposed convolution has out and in, as PyTorch's has in and out).
                std::vector<int> order{rank - 1, rank - 2};
                for (int d = 0; d < rank - 2; ++d) order.push_back(d);
                const bool is_transpose = kind.find("Transpose") != std::string::npos;
                channels_ = value.shape()[is_transpose ? rank - 2 : rank - 1];
                value = permuted(value, order);
            }
        } else if (last == "depthwise_kernel" && rank == 4) {
            // [H, W, C, multiplier] -> [C * multiplier, 1, H, W]
            const std::int64_t outputs = value.shape()[2] * value.shape()[3];
            name = kind == "SeparableConv2D" || layer.starts_with("separable") ? "depthwise.weight" : "weight";
            value = permuted(value, {2, 3, 0, 1}).reshape({outputs, 1, value.shape()[0], value.shape()[1]});
            channels_ = outputs;
        } else if (last == "gamma" || last == "alpha" || last == "embeddings") {
            name = "weight";
        } else if (last == "beta" || last == "b") {
            name = "bias";
        } else if (last == "moving_mean" || last == "running_mean") {
            name = "running_mean";
        } else if (last == "moving_variance" || last == "running_std") {
            name = "running_var";
        }
        path = fmt::format("{}.{}", prefix, name);
        check(!parameters_.has(path), "'{}' stands twice", path);
        parameters_.set(path, value);
    }
    /// Rows of [H * W * C, outputs] in the order C, H, W.
    [[nodiscard]] Tensor channels_first(const Tensor& matrix) const {
        const std::int64_t rows = matrix.shape()[0], outputs = matrix.shape()[1];
        return permuted(matrix.reshape({rows / channels_, channels_, outputs}), {1, 0, 2}).reshape({rows, outputs});
    }

    const Source& source_;
    Hdf5File file_;
    std::size_t used_ = 0;
    std::map<std::string, std::string, std::less<>> classes_;
    std::int64_t channels_ = 1;  ///< of the last convolution
    bool is_flat_ = false;       ///< a Flatten stands before the next matrix
    Parameters parameters_;
};

}  // namespace

Parameters read_keras(const Source& source, Metadata* metadata) {
    return KerasReader(source).read(metadata);
}

}  // namespace fovea
