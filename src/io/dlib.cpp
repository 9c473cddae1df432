// dlib's serialised networks: serialize() of dlib/dnn/core.h and layers.h, version 19.24 and the older layer forms it still reads. The
// file mirrors the type of the network, outermost layer first down to the input; what each layer holds follows from its name.
#include <array>
#include <vector>

#include "io/cursor.h"
#include "io/readers.h"

namespace fovea {

namespace {

/// What a layer writes behind its name: i whole number, d real number, b flag, t tensor, a shape of a part of the first tensor.
struct Layout {
    std::string_view name, fields;
};
constexpr Layout layouts[] = {{"con_4", "tiiiiiiiaadddd"},
                              {"con_5", "tiiiiiiiaaddddb"},
                              {"cont_2", "tiiiiiiiaaddddb"},
                              {"fc_2", "iitaaidddd"},
                              {"fc_3", "iitaaiddddb"},
                              {"bn_con2", "taattttiiddddd"},
                              {"bn_fc2", "taattttiiddddd"},
                              {"affine_", "taai"},
                              {"affine_2", "taaib"},
                              {"layer_norm_", "taattddddd"},
                              {"prelu_", "td"},
                              {"dropout_", "dt"},
                              {"multiply_", "d"},
                              {"leaky_relu_", "d"},
                              {"l2normalize_", "d"},
                              {"max_pool_2", "iiiiii"},
                              {"avg_pool_2", "iiiiii"},
                              {"upsample_", "ii"},
                              {"resize_to_", "iidd"},
                              {"scale_", "aa"},
                              {"scale_prev_", "aa"},
                              {"concat_", "i"},
                              {"relu_", ""},
                              {"sig_", ""},
                              {"htan_", ""},
                              {"mish_", ""},
                              {"gelu_", ""},
                              {"silu_", ""},
                              {"softmax_", ""},
                              {"softmax_all_", ""},
                              {"add_prev_", ""},
                              {"mult_prev_", ""}};
constexpr Layout losses[] = {{"loss_multiclass_log_", ""},           {"loss_multiclass_log_weighted_", ""}, {"loss_binary_hinge_", ""},
                             {"loss_binary_log_", ""},               {"loss_mean_squared_", ""},            {"loss_mean_squared_multioutput_", ""},
                             {"loss_multiclass_log_per_pixel_", ""}, {"loss_metric_2", "dd"}};
constexpr Layout inputs[] = {{"input<matrix>", ""}, {"input<array<matrix>>", ""}, {"input<array2d>", ""}, {"input_rgb_image", "ddd"}, {"input_rgb_image_sized", "dddii"}};

struct Layer {
    std::string name;                        ///< empty: a tag or a skip, which dlib does not tell apart
    std::vector<std::int64_t> numbers{};     ///< i, b
    std::vector<Tensor> tensors{};           ///< t, [samples, k, rows, columns]
    std::vector<std::array<std::int64_t, 4>> shapes{};  ///< a
};

class DlibReader {
public:
    explicit DlibReader(const Source& source) : in_(source) {}

    std::vector<Layer> read() {
        // On the way in: what follows the layers below it. A net of type A<B<C<input>>> is A's version, B's version, C's version,
        // the input, then the contents of C, B and A.
        constexpr std::size_t most_layers = 10'000;
        std::vector<int> open;
        std::size_t losses_seen = 0;
        for (;;) {
            in_.check(open.size() < most_layers, "more than {} layers within each other", most_layers);
            const std::int64_t version = whole("a layer's version");
            if (version == 1 && open.empty() && losses_seen == 0 && begins_with("loss_")) {
                ++losses_seen;
                (void)fields(look_up(losses, text("a loss"), "the loss"));
            } else if (version == 1) {
                open.push_back(1);  // a tag or a skip
            } else if (version == 2 && !begins_with("input")) {
                open.push_back(2);
            } else {
                in_.check((version == 2 || version == 3) && begins_with("input"), "a layer of version {} is not one of dlib's", version);
                (void)fields(look_up(inputs, text("the input"), "the input"));
                if (version == 2) {  // a tag right on the input
                    tensor("a tag's output"), tensor("a tag's gradient"), flag("a tag"), whole("a tag");
                    layers_.push_back({});
                } else {
                    contents(true);
                }
                break;
            }
        }
        for (; !open.empty(); open.pop_back()) {
            if (open.back() == 1) layers_.push_back({});
            else contents(false);
        }
        in_.check(in_.left() == 0, "{} bytes behind the network", in_.left());
        return std::move(layers_);
    }

private:
    std::int64_t whole(std::string_view what) {
        const auto control = std::to_integer<unsigned>(in_.take(1, what)[0]);
        const unsigned bytes = control & 0x0f;
        in_.check((control & 0x70) == 0 && bytes <= 8, "{} is no number of dlib's (first byte 0x{:02x})", what, control);
        std::uint64_t value = 0;
        unsigned shift = 0;
        for (const std::byte byte : in_.take(bytes, what)) value |= std::to_integer<std::uint64_t>(byte) << shift, shift += 8;
        const auto magnitude = static_cast<std::int64_t>(value & 0x7fffffffffffffffU);
        return (control & 0x80) != 0 ? -magnitude : magnitude;
    }
    /// A mantissa and a power of two.
    void real(std::string_view what) { (void)whole(what), (void)whole(what); }
    bool flag(std::string_view what) {
        const auto byte = std::to_integer<char>(in_.take(1, what)[0]);
        in_.check(byte == '0' || byte == '1', "{} is neither '0' nor '1'", what);
        return byte == '1';
    }
    std::string text(std::string_view what) {
        const std::int64_t size = whole(what);
        in_.check(size >= 0 && size <= 64, "{} has a name of {} letters", what, size);
        const auto letters = in_.take(static_cast<std::uint64_t>(size), what);
        return {reinterpret_cast<const char*>(letters.data()), letters.size()};
    }
    /// Whether a text that begins like this comes next: one byte that says one byte follows, the length, the letters.
    [[nodiscard]] bool begins_with(std::string_view letters) const {
        const auto rest = in_.rest();
        return rest.size() >= 2 + letters.size() && rest[0] == std::byte{1} && std::memcmp(rest.data() + 2, letters.data(), letters.size()) == 0;
    }
    std::array<std::int64_t, 4> sizes(std::string_view what) {
        std::array<std::int64_t, 4> result{};
        for (std::int64_t& size : result) {
            size = whole(what);
            in_.check(size >= 0, "{} has the size {}", what, size);
        }
        return result;
    }
    Tensor tensor(std::string_view what) {
        const std::int64_t version = whole(what);
        in_.check(version == 2, "{}: a tensor of version {}, read is 2", what, version);
        const auto [n, k, r, c] = sizes(what);
        return in_.floats({n, k, r, c}, what);
    }

    template <std::size_t count> Layout look_up(const Layout (&table)[count], const std::string& name, std::string_view what) const {
        for (const Layout& layout : table)
            if (layout.name == name) return layout;
        std::string clean = name;
        for (char& c : clean)
            if (c < ' ' || c > '~') c = '?';
        in_.check(false, "{} '{}' is not read", what, clean);
        return {};
    }
    Layer fields(const Layout& layout) {
        Layer layer{.name = std::string(layout.name)};
        for (const char field : layout.fields) {
            switch (field) {
                case 'i': layer.numbers.push_back(whole(layout.name)); break;
                case 'b': layer.numbers.push_back(flag(layout.name) ? 1 : 0); break;
                case 'd': real(layout.name); break;
                case 't': layer.tensors.push_back(tensor(layout.name)); break;
                default: {
                    const std::int64_t version = whole(layout.name);
                    in_.check(version == 1, "{}: a part of version {}, read is 1", layout.name, version);
                    layer.shapes.push_back(sizes(layout.name));
                }
            }
        }
        return layer;
    }
    void contents(bool is_innermost) {
        layers_.push_back(fields(look_up(layouts, text("a layer"), "a layer")));
        flag("a layer"), flag("a layer"), flag("a layer");
        tensor("a gradient"), tensor("a layer's output"), tensor("a gradient");
        if (is_innermost) (void)whole("a layer");
    }

    Cursor in_;
    std::vector<Layer> layers_;
};

/// Layers of branches that a concat joins are written last branch first: `inception4<b1, b2, b3, b4, net>` is b1 on b2 on b3 on b4.
/// Between two branches stand a skip and a tag, below the last and above the first a tag.
void first_branch_first(std::vector<Layer>& layers) {
    for (std::size_t at = 0; at < layers.size(); ++at) {
        if (layers[at].name != "concat_" || layers[at].numbers[0] < 2) continue;
        const std::int64_t branches = layers[at].numbers[0];
        std::vector<Layer> ordered;
        std::size_t end = at;
        bool is_plain = end > 0 && layers[end - 1].name.empty();
        for (std::int64_t branch = 0; is_plain && branch < branches; ++branch) {
            while (end > 0 && layers[end - 1].name.empty()) --end;
            std::size_t begin = end;
            while (begin > 0 && !layers[begin - 1].name.empty()) --begin;
            is_plain = begin < end && begin > 0;
            ordered.insert(ordered.end(), layers.begin() + static_cast<std::ptrdiff_t>(begin), layers.begin() + static_cast<std::ptrdiff_t>(end));
            end = begin;
        }
        if (!is_plain) continue;
        std::size_t kept = end;
        for (Layer& layer : ordered) layers[kept++] = std::move(layer);
        layers[kept++] = std::move(layers[at]);
        layers.erase(layers.begin() + static_cast<std::ptrdiff_t>(kept), layers.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        at = kept - 1;
    }
}

std::int64_t count_of(const std::array<std::int64_t, 4>& sizes) {
    std::int64_t count = 1;
    for (const std::int64_t size : sizes)
        if (__builtin_mul_overflow(count, size, &count)) return -1;
    return count;
}

class Namer {
public:
    explicit Namer(const Source& source) : source_(source) {}

    Parameters name(const std::vector<Layer>& layers) {
        int index = 0;
        for (const Layer& layer : layers) {
            if (layer.name.empty()) continue;
            ++index;
            const std::string_view kind = std::string_view(layer.name).substr(0, layer.name.find('_'));
            if (kind != "con" && kind != "cont" && kind != "fc" && kind != "bn" && kind != "affine" && kind != "prelu" && layer.name != "layer_norm_") continue;
            path_ = fmt::format("layers.{}.{}", index - 1, kind);
            if (kind == "prelu") put("weight", layer.tensors[0], 0, {layer.tensors[0].elements()});
            else if (kind == "con" || kind == "cont") convolution(layer);
            else if (kind == "fc") linear(layer);
            else norm(layer);
        }
        require<FormatError>(parameters_.size() > 0, "load '{}': a dlib network without parameters: it was saved before it saw data", source_.name);
        return std::move(parameters_);
    }

private:
    void put(std::string_view name, const Tensor& all, std::int64_t begin, const Shape& shape) {
        require<FormatError>(begin >= 0 && shape.elements() >= 0 && begin <= all.elements() && shape.elements() <= all.elements() - begin, "load '{}': {}.{} {} lies outside its {} values",
                             source_.name, path_, name, shape, all.elements());
        Tensor part(shape);
        if (part.bytes() > 0) std::memcpy(part.raw(), all.raw() + static_cast<std::size_t>(begin) * sizeof(float), part.bytes());
        parameters_.set(fmt::format("{}.{}", path_, name), part);
    }
    /// A part's sizes as a shape; sizes whose product no tensor of the file has are refused.
    Shape shape_of(const std::array<std::int64_t, 4>& sizes, const Tensor& all) const {
        const std::int64_t count = count_of(sizes);
        require<FormatError>(count >= 0 && count <= all.elements(), "load '{}': {} has parts larger than its {} values", source_.name, path_, all.elements());
        return Shape(sizes);
    }
    void convolution(const Layer& layer) {
        const Tensor& all = layer.tensors[0];
        const bool has_bias = layer.numbers.size() < 8 || layer.numbers[7] != 0;
        const Shape filters = shape_of(layer.shapes[0], all);
        put("weight", all, 0, filters);
        if (has_bias) put("bias", all, filters.elements(), {count_of(layer.shapes[1])});
    }
    /// [inputs (+ 1), outputs]: the last row is the bias.
    void linear(const Layer& layer) {
        const Tensor& all = layer.tensors[0];
        const std::int64_t outputs = layer.numbers[0], rows = layer.numbers[1];
        const bool has_bias = layer.numbers[2] == 0 && (layer.numbers.size() < 4 || layer.numbers[3] != 0);
        const Shape weight = shape_of({rows, outputs, 1, 1}, all);
        put("weight", all, 0, {weight[0], weight[1]});
        const std::string name = path_ + ".weight";
        parameters_.set(name, transposed(parameters_.at(name)));
        if (has_bias) put("bias", all, weight.elements(), {outputs});
    }
    void norm(const Layer& layer) {
        const Tensor& all = layer.tensors[0];
        const std::int64_t channels = shape_of(layer.shapes[0], all).elements();
        put("weight", all, 0, {channels});
        put("bias", all, channels, {channels});
        if (!layer.name.starts_with("bn_")) return;
        put("running_mean", layer.tensors[3], 0, {channels});
        put("running_var", layer.tensors[4], 0, {channels});
    }

    const Source& source_;
    std::string path_;
    Parameters parameters_;
};

}  // namespace

Parameters read_dlib(const Source& source, Metadata*) {
    std::vector<Layer> layers = DlibReader(source).read();
    first_branch_first(layers);
    return Namer(source).name(layers);
}

}  // namespace fovea
