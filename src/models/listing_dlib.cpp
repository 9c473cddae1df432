// dlib's template text: fc<10, relu<con<16,5,5,1,1, input<matrix<unsigned char>>. Layers hold the one before them; aliases are templates
// (template <typename SUBNET> using block = ...) and are expanded as the compiler would. Brackets may be missing after the input layer,
// as decks print it, and one too many at the end of an alias is read all the same: both are said.
#include "models/listing_dlib_text.h"

namespace fovea::listing {

namespace {

class Builder {
public:
    Builder(Document document, const Shape& input, bool padded) : document_(std::move(document)), padded_(padded) {
        net_.notes = document_.notes;
        image_ = net_.graph.input("image", input);
    }

    Network build() {
        const Value out = evaluate(document_.bare.front(), 0);
        require<FormatError>(!net_.steps.empty(), "line {}: no layer stands on the input", document_.bare.front()->line);
        net_.graph.output("out", out);
        return std::move(net_);
    }

private:
    /// Follows the chain of layers down to the input (or to a value), then builds upwards.
    Value evaluate(TypePtr type, int depth) {
        require<FormatError>(depth < 50, "line {}: blocks within blocks, deeper than 50", type->line);
        std::vector<TypePtr> chain;
        Value x;
        while (x.is_empty()) {
            require<FormatError>(++expansions_ < most_expansions && chain.size() < most_layers, "line {}: the aliases describe more than {} layers", type->line, most_layers);
            if (!type->value.is_empty()) {
                x = type->value;
            } else if (const auto alias = document_.aliases.find(type->name); alias != document_.aliases.end()) {
                type = expand(*type, alias->second);
            } else if (type->name.starts_with("input")) {
                x = image_;
            } else {
                require<FormatError>(!type->name.empty(), "line {}: nothing stands where a layer is expected", type->line);
                require<FormatError>(!type->args.empty() && !is_number(type->args.back()->name) && !type->args.back()->name.empty(), "line {}: {} has no layer inside it{}", type->line, type->name,
                                     type->args.empty() ? "" : ": its brackets close at once");
                chain.push_back(type);
                type = type->args.back();
            }
        }
        for (auto layer = chain.rbegin(); layer != chain.rend(); ++layer) x = apply(**layer, x, depth);
        return x;
    }

    TypePtr expand(const Type& use, const Alias& alias) const {
        require<FormatError>(use.args.size() == alias.parameters.size(), "line {}: '{}' takes {} template arguments, got {}", use.line, use.name, alias.parameters.size(), use.args.size());
        std::map<std::string, TypePtr, std::less<>> bound;
        for (std::size_t i = 0; i < use.args.size(); ++i) bound[alias.parameters[i]] = use.args[i];
        return substitute(alias.body, bound);
    }

    static TypePtr substitute(const TypePtr& type, const std::map<std::string, TypePtr, std::less<>>& bound) {
        const auto it = bound.find(type->name);
        if (type->args.empty()) return it == bound.end() ? type : it->second;
        std::vector<TypePtr> args;
        for (const TypePtr& arg : type->args) args.push_back(substitute(arg, bound));
        return make_type(it == bound.end() ? type->name : it->second->name, std::move(args), type->line);
    }

    /// The template `block` on a value.
    Value on(const TypePtr& block, const Value& x, int depth) {
        auto value = std::make_shared<Type>();
        value->name = "value", value->value = x, value->line = block->line;
        std::vector<TypePtr> args = block->args;
        args.push_back(value);
        return evaluate(make_type(block->name, std::move(args), block->line), depth + 1);
    }

    std::int64_t number(const Type& layer, std::size_t i, std::int64_t most = largest_number, std::int64_t least = 1) const {
        require<FormatError>(i + 1 < layer.args.size(), "line {}: {} takes more numbers than {}", layer.line, layer.name, layer.args.size() - 1);
        const std::string& text = layer.args[i]->name;
        require<FormatError>(is_number(text) && layer.args[i]->args.empty() && text.size() < 10 && std::stoll(text) >= least && std::stoll(text) <= most, "line {}: {} takes a number from {} to {} here, got '{}'",
                             layer.line, layer.name, least, most, text);
        return std::stoll(text);
    }

    void takes(const Type& layer, std::size_t numbers) const {
        require<FormatError>(layer.args.size() == numbers + 1, "line {}: {} takes {} numbers and a layer, got {} arguments", layer.line, layer.name, numbers, layer.args.size());
    }

    std::string name_for(std::string_view kind) { return fmt::format("{}{}", kind, ++counts_[std::string(kind)]); }

    static std::string label_of(const Type& layer) {
        std::string text = layer.name;
        for (std::size_t i = 0; i + 1 < layer.args.size(); ++i) text += (i ? "," : "<") + layer.args[i]->name;
        return text + (layer.args.size() > 1 ? ">" : "");
    }

    Value apply(const Type& layer, const Value& x, int depth) {
        const std::string& name = layer.name;
        Step step{.line = layer.line, .layer = name, .label = label_of(layer)};
        if (name.starts_with("loss_")) return x;  // what training adds
        if (name == "con") return convolution(layer, std::move(step), x);
        if (name == "fc" || name == "fc_no_bias") {
            takes(layer, 1);
            step.layer = "linear", step.out = number(layer, 0);
            return net_.apply(std::move(step), [&] {
                return linear(x.shape().rank() > 2 ? flatten(x) : x, {.out = number(layer, 0), .bias = name == "fc", .init = Init{Init::Kind::dlib}, .bias_init = Init::zeros()}, name_for("fc"));
            });
        }
        if (name == "max_pool" || name == "avg_pool") return pool(layer, std::move(step), x);
        if (name.starts_with("inception") && is_number(name.substr(9))) {
            const auto blocks = layer.args.size() - 1;
            require<FormatError>(std::to_string(blocks) == name.substr(9), "line {}: {} takes {} blocks and a layer, got {} arguments", layer.line, name, name.substr(9), layer.args.size());
            std::vector<Value> parts;
            for (std::size_t i = 0; i < blocks; ++i) parts.push_back(on(layer.args[i], x, depth));
            return net_.apply(std::move(step), [&] { return concat(parts, 1, name_for("inception")); });
        }
        if (name == "repeat") {
            require<FormatError>(layer.args.size() == 3, "line {}: repeat takes a number, a block and a layer", layer.line);
            Value y = x;
            for (std::int64_t i = number(layer, 0, 1000, 0); i > 0; --i) y = on(layer.args[1], y, depth);
            return y;
        }
        if (name.starts_with("tag") && is_number(name.substr(3))) return tags_[name.substr(3)] = x;
        for (const std::string_view prefix : {"skip", "add_prev", "mult_prev"}) {
            if (!name.starts_with(prefix) || !is_number(name.substr(prefix.size()))) continue;
            const auto tag = tags_.find(name.substr(prefix.size()));
            require<FormatError>(tag != tags_.end(), "line {}: {} needs tag{} below it", layer.line, name, name.substr(prefix.size()));
            if (prefix == "skip") return tag->second;
            return net_.apply(std::move(step), [&] {
                require<ShapeError>(x.shape() == tag->second.shape(), "it meets {} with {}", size_text(x.shape()), size_text(tag->second.shape()));
                return prefix == "add_prev" ? x + tag->second : x * tag->second;
            });
        }
        if (name == "dropout" || name == "dropout_10") return net_.apply(std::move(step), [&] { return dropout(x, {.drop = name == "dropout" ? 0.5 : 0.1}, name_for("dropout")); });
        if (name == "bn_con" || name == "bn_fc") return net_.apply(std::move(step), [&] { return batch_norm(x, {}, name_for("bn")); });
        if (name == "max_pool_everything" || name == "avg_pool_everything")
            return net_.apply(std::move(step), [&] { return name.starts_with("max") ? global_max_pool(x) : global_avg_pool(x); });
        static const std::map<std::string, Value (*)(const Value&), std::less<>> simple{
            {"relu", [](const Value& v) { return relu(v); }},          {"prelu", [](const Value& v) { return prelu(v, {.shared = true}); }},
            {"leaky_relu", [](const Value& v) { return leaky_relu(v); }}, {"sig", [](const Value& v) { return sigmoid(v); }},
            {"htan", [](const Value& v) { return tanh(v); }},          {"elu", [](const Value& v) { return elu(v); }},
            {"gelu", [](const Value& v) { return gelu(v); }},          {"mish", [](const Value& v) { return mish(v); }},
            {"silu", [](const Value& v) { return silu(v); }},          {"softmax", [](const Value& v) { return softmax(v); }}};
        if (const auto it = simple.find(name); it != simple.end()) {
            takes(layer, 0);
            return net_.apply(std::move(step), [&] { return it->second(x); });
        }
        std::vector<std::string> names{"con", "fc", "fc_no_bias", "max_pool", "avg_pool", "max_pool_everything", "avg_pool_everything", "dropout", "bn_con", "bn_fc", "inception4", "add_prev1", "tag1", "repeat"};
        for (const auto& [known, function] : simple) names.push_back(known);
        for (const auto& [known, alias] : document_.aliases) names.push_back(known);
        fail<FormatError>("line {}: no layer '{}'; nearest: {}", layer.line, name, fmt::join(nearest_names(name, names), ", "));
    }

    Value convolution(const Type& layer, Step step, const Value& x) {
        takes(layer, 5);
        const std::int64_t out = number(layer, 0), kernel_h = number(layer, 1, largest_kernel, 0), kernel_w = number(layer, 2, largest_kernel, 0), stride_h = number(layer, 3, largest_kernel),
                           stride_w = number(layer, 4, largest_kernel);
        step.layer = "conv", step.out = out, step.kernel = kernel_h, step.stride = stride_h;
        return net_.apply(std::move(step), [&] {
            require<ShapeError>(x.shape().rank() == 4, "it stands on a vector of {}", size_text(x.shape()));
            // A kernel of 0 covers the whole map.
            const Size2 kernel{kernel_h ? kernel_h : x.shape()[2], kernel_w ? kernel_w : x.shape()[3]};
            const std::int64_t pad_h = padded_ && stride_h == 1 ? kernel_h / 2 : 0, pad_w = padded_ && stride_w == 1 ? kernel_w / 2 : 0;
            return conv2d(x, {.out = out, .kernel = kernel, .stride = {stride_h, stride_w}, .pad = {pad_h, pad_w}, .init = Init{Init::Kind::dlib}, .bias_init = Init::zeros()}, name_for("con"));
        });
    }

    Value pool(const Type& layer, Step step, const Value& x) {
        takes(layer, 4);
        const std::int64_t window_h = number(layer, 0, largest_kernel, 0), window_w = number(layer, 1, largest_kernel, 0), stride_h = number(layer, 2, largest_kernel), stride_w = number(layer, 3, largest_kernel);
        step.layer = "pool", step.kernel = window_h ? window_h : largest_kernel, step.stride = stride_h;
        return net_.apply(std::move(step), [&] {
            require<ShapeError>(x.shape().rank() == 4, "it stands on a vector of {}", size_text(x.shape()));
            const Size2 window{window_h ? window_h : x.shape()[2], window_w ? window_w : x.shape()[3]};
            const Size2 stride{stride_h, stride_w};
            // dlib pads its pools as it pads its convolutions.
            const Pad4 pad{stride_h == 1 ? window_h / 2 : 0, stride_w == 1 ? window_w / 2 : 0};
            return layer.name == "max_pool" ? max_pool(x, {.kernel = window, .stride = stride, .pad = pad}) : avg_pool(x, {.kernel = window, .stride = stride, .pad = pad, .count_include_pad = false});
        });
    }

    Document document_;
    bool padded_;
    Network net_;
    Value image_;
    std::map<std::string, Value> tags_;
    std::map<std::string, int> counts_;
    std::size_t expansions_ = 0;
};

}  // namespace

Network read_dlib(std::string_view text, const Shape& input, bool padded) { return Builder(document_of(text), input, padded).build(); }

}  // namespace fovea::listing
