// PyTorch's nn.Sequential text, as it is typed or as printing a network shows it ("(0): Conv2d(3, 6, kernel_size=(5, 5), stride=(1, 1))").
// Every module is bound to its argument list as Python would bind it; a Linear with one argument is read as a lazy one.
#include <algorithm>
#include <cmath>
#include <set>

#include "models/listing_torch_arguments.h"

namespace fovea::listing {

namespace {

class Parser {
public:
    Parser(std::string_view text, const Shape* input) : reader_(tokens_of(text, ListingKind::torch)) {
        if (input != nullptr) x_ = net_.graph.input("image", *input);
    }

    Network build() {
        find_sequential();
        sequential("Sequential");
        require<FormatError>(!net_.steps.empty(), "nn.Sequential holds no module");
        finish_notes();
        net_.graph.output("out", x_);
        return std::move(net_);
    }

    /// The channels the first convolution takes.
    Stated stated() {
        while (!reader_.is_at_end()) {
            const Token token = reader_.next();
            if (token.kind != Token::Kind::word || base_name(token.text) != "Conv2d" || !reader_.skip("(")) continue;
            Stated stated;
            if (reader_.peek().is_word("in_channels")) reader_.next(), reader_.skip("=");
            if (reader_.peek().kind == Token::Kind::number && reader_.peek().text.size() < 6) stated.channels = static_cast<std::int64_t>(number_of(reader_.peek()));
            return stated;
        }
        return {};
    }

private:
    static std::string base_name(const std::string& name) { return name.substr(name.rfind('.') == std::string::npos ? 0 : name.rfind('.') + 1); }

    void find_sequential() {
        while (!reader_.is_at_end() && !(reader_.peek().kind == Token::Kind::word && base_name(reader_.peek().text) == "Sequential" && reader_.peek(1).is("("))) reader_.next();
        require<FormatError>(!reader_.is_at_end(), "no nn.Sequential( ... ) is in it");
        reader_.next();
    }

    void sequential(const std::string& who) {
        require<FormatError>(++depth_ < 100, "line {}: networks inside networks, deeper than 100", reader_.peek().line);
        const int line = reader_.peek().line;
        reader_.expect("(", who);
        const bool is_ordered = reader_.peek().kind == Token::Kind::word && base_name(reader_.peek().text) == "OrderedDict";
        if (is_ordered) reader_.next(), reader_.expect("(", "OrderedDict"), reader_.expect("[", "OrderedDict(");
        std::int64_t index = 0;
        while (!reader_.peek().is(")") && !reader_.peek().is("]")) {
            require<FormatError>(!reader_.is_at_end(), "line {}: the brackets of {} are not closed", line, who);
            std::string name = std::to_string(index++);
            bool is_pair = false;
            if (reader_.peek().is("(")) {
                reader_.next();
                const Token label = reader_.next();
                require<FormatError>(label.kind != Token::Kind::symbol && label.kind != Token::Kind::end && !label.text.empty() && label.text.size() < 100 && label.text.find('.') == std::string::npos,
                                     "line {}: a module's name is expected, got '{}'", label.line, label.text);
                name = label.text;
                if (reader_.skip(",")) is_pair = true;                          // ("conv1", nn.Conv2d(...))
                else reader_.expect(")", name), reader_.expect(":", name + ")");  // (0): Conv2d(...)
            }
            module(name);
            if (is_pair) reader_.expect(")", "the pair of '" + name + "'");
            // A printed network has no commas between its modules.
            if (!reader_.skip(",") && !reader_.peek().is(")") && !reader_.peek().is("]") && !reader_.peek().is("(") && !reader_.is_at_end())
                fail<FormatError>("line {}: ',' or ')' is expected after module {}, got '{}'", reader_.peek().line, name, reader_.peek().text);
        }
        if (is_ordered) reader_.expect("]", "the modules");
        reader_.skip(",");
        reader_.expect(")", who);
        if (is_ordered && reader_.peek().is(")")) reader_.next();
        --depth_;
    }

    // ---- modules ----

    void module(const std::string& name) {
        const Token token = reader_.next();
        require<FormatError>(token.kind == Token::Kind::word, "line {}: a module is expected, got '{}'", token.line, token.text);
        const std::string kind = base_name(token.text);
        if (kind == "Sequential") {
            const auto scope = net_.graph.scope(name);
            sequential(kind);
            return;
        }
        const auto it = modules().find(kind);
        if (it == modules().end()) {
            std::vector<std::string> names{"Sequential"};
            for (const auto& [known, entry] : modules()) names.push_back(known);
            fail<FormatError>("line {}: no module '{}' is known; nearest: {}", token.line, token.text, fmt::join(nearest_names(kind, names), ", "));
        }
        const Bound bound = bind(reader_, kind, token.line, it->second.arguments);
        const Value before = x_;
        x_ = (this->*it->second.build)(bound, name);
        if (x_ != before) net_.graph.module_output(name, x_);
    }

    struct Entry {
        std::vector<std::string> arguments;
        Value (Parser::*build)(const Bound&, const std::string&);
    };
    static const std::map<std::string, Entry, std::less<>>& modules();

    [[nodiscard]] static Step step_of(const Bound& b, std::string layer) { return {.line = b.line, .layer = std::move(layer), .label = b.label}; }

    void needs_maps(const Bound& b) const {
        if (x_.shape().rank() != 4) net_.refuse(step_of(b, ""), fmt::format("it takes maps [N, C, H, W] and stands on vectors of {}", size_text(x_.shape())));
    }

    Value conv(const Bound& b, const std::string& name) {
        needs_maps(b);
        Step step = step_of(b, "conv");
        const std::int64_t out = b.integer("out_channels", 1, largest_number);
        const Size2 kernel = b.pair("kernel_size", 1, largest_kernel), stride = b.pair("stride", 1, 1, largest_kernel);
        step.out = out, step.kernel = kernel.h, step.stride = stride.h;
        if (b.has("in_channels")) {
            const std::int64_t in = b.integer("in_channels", 1, largest_number);
            if (in != x_.shape()[1]) net_.refuse(step, fmt::format("it takes {} channels and gets {}", in, x_.shape()[1]));
        }
        const bool is_same = b.has("padding") && b.at("padding").word == "same", is_valid = b.has("padding") && b.at("padding").word == "valid";
        const Size2 pad = is_same || is_valid ? Size2{0} : b.pair("padding", 0, 0, largest_kernel);
        const Size2 dilation = b.pair("dilation", 1, 1, largest_kernel);
        require<FormatError>(!b.has("padding_mode") || b.at("padding_mode").word == "zeros", "line {}: Conv2d's padding_mode {} is not read, only 'zeros'", b.line, b.has("padding_mode") ? b.at("padding_mode").source : "");
        return net_.apply(std::move(step), [&] {
            return conv2d(x_, {.out = out, .kernel = kernel, .stride = stride, .pad = {pad.h, pad.w}, .pad_mode = is_same ? PadMode::same : PadMode::given, .dilation = dilation,
                               .groups = b.integer("groups", 1, 1, largest_number), .bias = b.flag("bias", true)},
                          name);
        });
    }

    Value transposed(const Bound& b, const std::string& name) {
        needs_maps(b);
        const Size2 pad = b.pair("padding", 0, 0, largest_kernel);
        if (b.integer("in_channels", 1, largest_number) != x_.shape()[1]) net_.refuse(step_of(b, ""), fmt::format("it takes {} channels and gets {}", b.at("in_channels").source, x_.shape()[1]));
        return net_.apply(step_of(b, "conv_transpose"), [&] {
            return conv_transpose2d(x_, {.out = b.integer("out_channels", 1, largest_number), .kernel = b.pair("kernel_size", 1, largest_kernel), .stride = b.pair("stride", 1, 1, largest_kernel), .pad = {pad.h, pad.w},
                                         .output_pad = b.pair("output_padding", 0, 0, largest_kernel), .dilation = b.pair("dilation", 1, 1, largest_kernel), .groups = b.integer("groups", 1, 1, largest_number),
                                         .bias = b.flag("bias", true)},
                                    name);
        });
    }

    /// Why a Linear does not fit the maps before it.
    [[noreturn]] void refuse_linear(const Bound& b, std::int64_t in) const {
        std::string why = fmt::format("in_features {}{} and gets {}", b.has("in_features") && b.at("in_features").is_expression ? b.at("in_features").source + " = " : "", in, size_text(x_.shape()));
        if (x_.shape().rank() == 4) {
            why += fmt::format(" ({} values)", x_.shape().elements(1, 4));
            if (!has_flatten_) why += "; no nn.Flatten stands before it";
            int convolutions = 0;
            for (const Step& step : net_.steps)
                if (step.layer == "conv" && convolutions++ > 0 && step.stride > 1) why += fmt::format("; the convolution of line {} has stride {}", step.line, step.stride);
        }
        net_.refuse(step_of(b, ""), why);
    }

    Value dense(const Bound& b, const std::string& name) {
        Step step = step_of(b, "linear");
        const bool is_lazy = b.module == "LazyLinear", is_short = !is_lazy && !(b.has("in_features") && b.has("out_features"));
        const std::int64_t out = b.integer(b.has("out_features") ? "out_features" : "in_features", 1, largest_number);  // nn.Linear(120): what is given is the output
        step.out = out;
        if (!is_lazy && !is_short) {
            const std::int64_t in = b.integer("in_features", 1, std::int64_t{1} << 40), got = x_.shape()[x_.shape().rank() - 1];
            const bool is_flat = x_.shape().rank() == 2;
            if (in != got || !is_flat) refuse_linear(b, in);
        }
        if (x_.shape().rank() != 2) {
            // PyTorch would apply it to every row of every map.
            net_.refuse(step, fmt::format("it stands on maps of {}: no nn.Flatten stands before it", size_text(x_.shape())));
        }
        if (is_short) short_linears_.push_back(fmt::format("line {}: nn.Linear({}) has no in_features: {} inferred", b.line, out, x_.shape()[1]));
        return net_.apply(std::move(step), [&] { return linear(x_, {.out = out, .bias = b.flag("bias", true)}, name); });
    }

    Value pool(const Bound& b, const std::string& name) {
        needs_maps(b);
        Step step = step_of(b, "pool");
        const Size2 kernel = b.pair("kernel_size", 1, largest_kernel), stride = b.has("stride") ? b.pair("stride", 1, largest_kernel) : kernel, pad = b.pair("padding", 0, 0, largest_kernel);
        step.kernel = kernel.h, step.stride = stride.h;
        if (pad.h * 2 > kernel.h || pad.w * 2 > kernel.w) net_.refuse(step, "its padding is more than half its window");
        return net_.apply(std::move(step), [&] {
            const bool is_ceil = b.flag("ceil_mode", false);
            if (b.module == "MaxPool2d") return max_pool(x_, {.kernel = kernel, .stride = stride, .pad = {pad.h, pad.w}, .dilation = b.pair("dilation", 1, 1, largest_kernel), .ceil = is_ceil}, name);
            return avg_pool(x_, {.kernel = kernel, .stride = stride, .pad = {pad.h, pad.w}, .ceil = is_ceil, .count_include_pad = b.flag("count_include_pad", true)}, name);
        });
    }

    Value adaptive(const Bound& b, const std::string& name) {
        needs_maps(b);
        return net_.apply(step_of(b, "adaptive_pool"), [&] {
            const Size2 size = b.pair("output_size", 1, largest_kernel);
            return b.module == "AdaptiveMaxPool2d" ? adaptive_max_pool(x_, size, name) : adaptive_avg_pool(x_, size, name);
        });
    }

    Value flattened(const Bound& b, const std::string& name) {
        if (b.integer("start_dim", 1, 0, 8) != 1 || b.integer("end_dim", -1, -8, 8) != -1) net_.refuse(step_of(b, ""), "only Flatten(start_dim=1, end_dim=-1) is read");
        has_flatten_ = true;
        return net_.apply(step_of(b, "flatten"), [&] { return flatten(x_, 1, name); });
    }

    Value dropped(const Bound& b, const std::string& name) {
        const double p = b.real("p", 0.5);
        require<FormatError>(p >= 0 && p <= 1, "line {}: {}'s p is a probability, 0 to 1, got {}", b.line, b.module, p);
        const bool on_maps = x_.shape().rank() == 4, is_2d = b.module == "Dropout2d";
        if (is_2d && !on_maps) vector_dropouts_.push_back(b.line);
        return net_.apply(step_of(b, "dropout"), [&] { return is_2d && on_maps ? spatial_dropout(x_, {.drop = p}, name) : dropout(x_, {.drop = p}, name); });
    }

    Value normed(const Bound& b, const std::string& name) {
        const bool is_lazy = b.module.starts_with("Lazy"), is_1d = b.module.ends_with("1d");
        if (x_.shape().rank() != (is_1d ? 2 : 4)) net_.refuse(step_of(b, ""), fmt::format("it takes {} and gets {}", is_1d ? "vectors" : "maps", size_text(x_.shape())));
        if (!is_lazy && b.integer("num_features", 1, largest_number) != x_.shape()[1]) net_.refuse(step_of(b, ""), fmt::format("it takes {} channels and gets {}", b.at("num_features").source, x_.shape()[1]));
        return net_.apply(step_of(b, "norm"), [&] { return batch_norm(x_, {.eps = b.real("eps", 1e-5), .momentum = b.real("momentum", 0.1), .affine = b.flag("affine", true)}, name); });
    }

    Value group_normed(const Bound& b, const std::string& name) {
        return net_.apply(step_of(b, "norm"), [&] { return group_norm(x_, {.groups = b.integer("num_groups", 1, largest_number), .eps = b.real("eps", 1e-5)}, name); });
    }

    Value response_normed(const Bound& b, const std::string& name) {
        needs_maps(b);
        return net_.apply(step_of(b, "norm"), [&] {
            return lrn(x_, {.size = b.integer("size", 1, largest_kernel), .alpha = b.real("alpha", 1e-4), .beta = b.real("beta", 0.75), .k = b.real("k", 1)}, name);
        });
    }

    Value upsampled(const Bound& b, const std::string& name) {
        needs_maps(b);
        const bool is_bilinear = b.has("mode") && b.at("mode").word == "bilinear";
        require<FormatError>(!b.has("mode") || is_bilinear || b.at("mode").word == "nearest", "line {}: Upsample's mode {} is not read, only nearest and bilinear", b.line, b.has("mode") ? b.at("mode").source : "");
        InterpolateSpec spec{.mode = is_bilinear ? Interpolation::bilinear : Interpolation::nearest, .align_corners = b.flag("align_corners", false)};
        if (b.has("size")) spec.size = b.pair("size", 1, largest_kernel);
        else spec.scale = b.real("scale_factor", 0);
        require<FormatError>(spec.size || (spec.scale > 0 && spec.scale <= 64), "line {}: Upsample needs a size or a scale_factor up to 64", b.line);
        return net_.apply(step_of(b, "upsample"), [&] { return interpolate(x_, spec, name); });
    }

    Value activated(const Bound& b, const std::string& name) {
        const std::string& m = b.module;
        return net_.apply(step_of(b, "activation"), [&]() -> Value {
            if (m == "ReLU") return relu(x_, name);
            if (m == "ReLU6") return relu6(x_, name);
            if (m == "LeakyReLU") return leaky_relu(x_, {.slope = b.real("negative_slope", 0.01)}, name);
            if (m == "PReLU") return prelu(x_, {.slope = b.real("init", 0.25), .shared = b.integer("num_parameters", 1, 1, largest_number) == 1}, name);
            if (m == "ELU") return elu(x_, {.alpha = b.real("alpha", 1)}, name);
            if (m == "SELU") return selu(x_, name);
            if (m == "GELU") return gelu(x_, {.approximate = b.has("approximate") && b.at("approximate").word == "tanh"}, name);
            if (m == "SiLU") return silu(x_, {}, name);
            if (m == "Mish") return mish(x_, name);
            if (m == "Sigmoid") return sigmoid(x_, name);
            if (m == "Hardsigmoid") return hard_sigmoid(x_, name);
            if (m == "Hardswish") return hard_swish(x_, name);
            if (m == "Tanh") return tanh(x_, name);
            if (m == "Softplus") return softplus(x_, {}, name);
            const AxisSpec axis{b.integer("dim", 1, -8, 8)};
            return m == "Softmax" ? softmax(x_, axis, name) : log_softmax(x_, axis, name);
        });
    }

    Value same(const Bound&, const std::string&) { return x_; }

    void finish_notes() {
        const auto joined = [](const std::vector<int>& lines) { return fmt::format("line{} {}", lines.size() == 1 ? "" : "s", fmt::join(lines, ", ")); };
        if (!short_linears_.empty()) net_.note(fmt::format("{}; the number is read as out_features (PyTorch needs nn.LazyLinear)", fmt::join(short_linears_, ", ")));
        if (!vector_dropouts_.empty()) net_.note(fmt::format("{}: Dropout2d drops whole channels of maps and acts on vectors here, where Dropout is meant", joined(vector_dropouts_)));
    }

    Reader reader_;
    Network net_;
    Value x_;
    int depth_ = 0;
    bool has_flatten_ = false;
    std::vector<std::string> short_linears_;
    std::vector<int> vector_dropouts_;
};

const std::map<std::string, Parser::Entry, std::less<>>& Parser::modules() {
    static const std::vector<std::string> norm{"num_features", "eps", "momentum", "affine", "track_running_stats"}, lazy_norm{"eps", "momentum", "affine", "track_running_stats"}, none{},
        inplace{"inplace"}, pool{"kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"};
    static const std::map<std::string, Entry, std::less<>> all{
        {"Conv2d", {{"in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode"}, &Parser::conv}},
        {"LazyConv2d", {{"out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode"}, &Parser::conv}},
        {"ConvTranspose2d", {{"in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "groups", "bias", "dilation"}, &Parser::transposed}},
        {"Linear", {{"in_features", "out_features", "bias"}, &Parser::dense}},
        {"LazyLinear", {{"out_features", "bias"}, &Parser::dense}},
        {"MaxPool2d", {pool, &Parser::pool}},
        {"AvgPool2d", {{"kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"}, &Parser::pool}},
        {"AdaptiveAvgPool2d", {{"output_size"}, &Parser::adaptive}},
        {"AdaptiveMaxPool2d", {{"output_size", "return_indices"}, &Parser::adaptive}},
        {"Flatten", {{"start_dim", "end_dim"}, &Parser::flattened}},
        {"Dropout", {{"p", "inplace"}, &Parser::dropped}},
        {"Dropout2d", {{"p", "inplace"}, &Parser::dropped}},
        {"BatchNorm2d", {norm, &Parser::normed}},
        {"BatchNorm1d", {norm, &Parser::normed}},
        {"LazyBatchNorm2d", {lazy_norm, &Parser::normed}},
        {"LazyBatchNorm1d", {lazy_norm, &Parser::normed}},
        {"GroupNorm", {{"num_groups", "num_channels", "eps", "affine"}, &Parser::group_normed}},
        {"LocalResponseNorm", {{"size", "alpha", "beta", "k"}, &Parser::response_normed}},
        {"Upsample", {{"size", "scale_factor", "mode", "align_corners"}, &Parser::upsampled}},
        {"Identity", {none, &Parser::same}},
        {"ReLU", {inplace, &Parser::activated}},
        {"ReLU6", {inplace, &Parser::activated}},
        {"LeakyReLU", {{"negative_slope", "inplace"}, &Parser::activated}},
        {"PReLU", {{"num_parameters", "init"}, &Parser::activated}},
        {"ELU", {{"alpha", "inplace"}, &Parser::activated}},
        {"SELU", {inplace, &Parser::activated}},
        {"GELU", {{"approximate"}, &Parser::activated}},
        {"SiLU", {inplace, &Parser::activated}},
        {"Mish", {inplace, &Parser::activated}},
        {"Sigmoid", {none, &Parser::activated}},
        {"Hardsigmoid", {inplace, &Parser::activated}},
        {"Hardswish", {inplace, &Parser::activated}},
        {"Tanh", {none, &Parser::activated}},
        {"Softplus", {none, &Parser::activated}},
        {"Softmax", {{"dim"}, &Parser::activated}},
        {"LogSoftmax", {{"dim"}, &Parser::activated}},
    };
    return all;
}

}  // namespace

Stated stated_by_torch(std::string_view text) { return Parser(text, nullptr).stated(); }

Network read_torch(std::string_view text, const Shape& input) { return Parser(text, &input).build(); }

}  // namespace fovea::listing
