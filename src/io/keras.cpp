// Keras' .h5: a group per layer, named in the attribute layer_names, its tensors in weight_names (keras/engine/saving.py). TensorFlow's
// layouts become PyTorch's: kernels HWIO -> OIHW, matrices [in, out] -> [out, in], and what a Flatten put channels last, channels first.
#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include <hdf5.h>
#include <nlohmann/json.hpp>

#include "io/cursor.h"
#include "io/readers.h"

namespace fovea {

namespace {

/// Owns one HDF5 identifier of any kind.
class Handle {
public:
    explicit Handle(hid_t id) : id_(id) {}
    ~Handle() {
        if (id_ >= 0) H5Idec_ref(id_);
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    operator hid_t() const { return id_; }
    [[nodiscard]] bool is_valid() const { return id_ >= 0; }

private:
    hid_t id_;
};

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
    explicit KerasReader(const Source& source) : source_(source), access_(H5Pcreate(H5P_FILE_ACCESS)), file_(open()) {}

    Parameters read(Metadata* metadata) {
        // model.save() has the layers below model_weights, save_weights() at the top.
        const bool is_model = H5Lexists(file_, "model_weights", H5P_DEFAULT) > 0;
        const Handle root(H5Gopen2(file_, is_model ? "/model_weights" : "/", H5P_DEFAULT));
        check(root.is_valid(), "its group of layers cannot be opened");
        const auto layers = texts(root, "layer_names");
        check(layers.has_value(), "an HDF5 file without Keras' layer_names; of Keras 3 save the whole model as .h5");
        if (const auto config = texts(file_, "model_config"); config && !config->empty()) {
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

    hid_t open() {
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
        H5PLset_loading_state(0);  // no filter in a file may load a library
        H5Pset_fapl_core(access_, std::size_t{1} << 20, false);
        H5Pset_file_image(access_, const_cast<std::byte*>(source_.bytes.data()), source_.bytes.size());
        const hid_t file = H5Fopen("fovea.h5", H5F_ACC_RDONLY, access_);  // the name of an image in memory
        check(file >= 0, "an HDF5 file that is damaged or cut off");
        return file;
    }

    /// A text, or a list of texts, of fixed or free length. Long lists lie in attributes name0, name1, ...
    std::optional<std::vector<std::string>> texts(hid_t object, const std::string& name) const {
        if (H5Aexists(object, name.c_str()) > 0) return texts_of_one(object, name);
        std::optional<std::vector<std::string>> all;
        for (int part = 0; H5Aexists(object, fmt::format("{}{}", name, part).c_str()) > 0; ++part) {
            if (!all) all.emplace();
            const auto more = texts_of_one(object, fmt::format("{}{}", name, part));
            all->insert(all->end(), more.begin(), more.end());
        }
        return all;
    }
    std::vector<std::string> texts_of_one(hid_t object, const std::string& name) const {
        const Handle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT));
        check(attribute.is_valid(), "attribute '{}' cannot be opened", name);
        const Handle type(H5Aget_type(attribute)), space(H5Aget_space(attribute));
        check(type.is_valid() && space.is_valid(), "attribute '{}' is damaged", name);
        const hssize_t count = H5Sget_simple_extent_npoints(space);
        if (count == 0) return {};  // h5py writes an empty list as numbers
        check(H5Tget_class(type) == H5T_STRING, "attribute '{}' is no text", name);
        const std::size_t width = H5Tget_size(type), limit = source_.bytes.size();
        check(count > 0 && static_cast<std::size_t>(count) <= limit && width <= limit / static_cast<std::size_t>(count), "attribute '{}' of {} texts is larger than the file", name, count);
        std::vector<std::string> result;
        if (H5Tis_variable_str(type) > 0) {
            std::vector<char*> pointers(static_cast<std::size_t>(count), nullptr);
            check(H5Aread(attribute, type, pointers.data()) >= 0, "attribute '{}' is damaged", name);
            for (const char* text : pointers) result.emplace_back(text != nullptr ? text : "");
            H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
        } else {
            std::vector<char> bytes(static_cast<std::size_t>(count) * width);
            check(H5Aread(attribute, type, bytes.data()) >= 0, "attribute '{}' is damaged", name);
            for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
                const std::string_view text(bytes.data() + i * width, width);
                result.emplace_back(text.substr(0, text.find('\0')));
            }
        }
        return result;
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

    void read_layer(hid_t root, const std::string& layer) {
        const std::string kind = class_of(layer);
        if (kind == "Flatten") is_flat_ = true;
        if (kind.starts_with("Global")) channels_ = 1;  // one value per channel: no order to change
        const Handle group(open_inside(root, layer, H5I_GROUP));
        const auto names = texts(group, "weight_names");
        if (!names) return;
        for (const std::string& name : *names) {
            const Handle data(open_inside(group, name, H5I_DATASET));
            put(layer, kind, name, values(data, name));
        }
        if (is_flat_ && !names->empty()) is_flat_ = false, channels_ = 1;
    }

    /// Only what lies in this file itself: links to other files are refused.
    hid_t open_inside(hid_t place, const std::string& path, H5I_type_t kind) const {
        for (std::size_t end = path.find('/'); ; end = path.find('/', end + 1)) {
            const std::string part = path.substr(0, end);
            H5L_info_t link{};
            check(!part.empty() && H5Lget_info(place, part.c_str(), &link, H5P_DEFAULT) >= 0, "'{}' is named but not there", path);
            check(link.type == H5L_TYPE_HARD, "'{}' is a link, not data of this file", part);
            if (end == std::string::npos) break;
        }
        const hid_t id = H5Oopen(place, path.c_str(), H5P_DEFAULT);
        const Handle owner(id);
        check(owner.is_valid() && H5Iget_type(owner) == kind, "'{}' cannot be opened", path);
        H5Iinc_ref(id);
        return id;
    }

    Tensor values(hid_t data, const std::string& name) const {
        const Handle space(H5Dget_space(data)), type(H5Dget_type(data)), layout(H5Dget_create_plist(data));
        check(space.is_valid() && type.is_valid() && layout.is_valid(), "'{}' is damaged", name);
        check(H5Pget_external_count(layout) == 0 && H5Pget_layout(layout) != H5D_VIRTUAL, "the values of '{}' lie in another file", name);
        const H5T_class_t kind = H5Tget_class(type);
        check(kind == H5T_FLOAT || kind == H5T_INTEGER, "'{}' holds no numbers", name);
        const int rank = H5Sget_simple_extent_ndims(space);
        check(rank >= 0 && rank <= Shape::max_rank, "'{}' has {} dimensions, at most {} are read", name, rank, Shape::max_rank);
        std::array<hsize_t, Shape::max_rank> sizes{};
        check(H5Sget_simple_extent_dims(space, sizes.data(), nullptr) == rank, "the shape of '{}' is damaged", name);
        // Packed values may be smaller in the file; what unpacks to more than this is not weights.
        constexpr std::uint64_t most_times = 32;
        const std::uint64_t most = most_times * source_.bytes.size() / sizeof(float);
        Shape shape;
        std::uint64_t count = 1;
        for (int d = 0; d < rank; ++d) {
            const hsize_t size = sizes[static_cast<std::size_t>(d)];
            check(size == 0 || count <= most / size, "'{}' is larger than the file's {} bytes allow", name, source_.bytes.size());
            count *= size;
            shape.push_back(static_cast<std::int64_t>(size));
        }
        Tensor tensor(shape);
        check(count == 0 || H5Dread(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.raw()) >= 0, "the values of '{}' are damaged", name);
        return tensor;
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
    Handle access_, file_;
    std::map<std::string, std::string, std::less<>> classes_;
    std::int64_t channels_ = 1;  ///< of the last convolution
    bool is_flat_ = false;       ///< a Flatten stands before the next matrix
    Parameters parameters_;
};

}  // namespace

Parameters read_keras(const Source& source, Metadata* metadata) {
    static std::mutex one_at_a_time;  // Debian's serial HDF5 keeps global state
    const std::lock_guard lock(one_at_a_time);
    return KerasReader(source).read(metadata);
}

}  // namespace fovea
