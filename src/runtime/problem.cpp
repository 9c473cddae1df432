// One spelling of an op's problem for plan, profile, benchmark and test:
//   conv2d n8c64h56w56 k128r3s3 stride2 pad1 bias relu f32         also conv2d_backward_input, conv2d_backward_weight
//   linear n128c400 k120 bias f32
//   max_pool2d n8c64h56w56 r3s3 stride2 pad1 f32                    also avg_pool2d
//   batch_norm n8c64h56w56 relu f32                                 also relu and every op of one image-shaped input
//   softmax_cross_entropy [128,10] i32[128] smoothing=0.1 f32       any other: its inputs and its attributes
#include <array>
#include <charconv>
#include <cmath>

#include "core/text.h"
#include "fovea/runtime.h"
#include "graph/op.h"
#include "ops/activation.h"

namespace fovea {

namespace {

bool starts(std::string_view text, std::string_view with) { return text.starts_with(with); }
bool is_convolution(std::string_view op) { return op == "conv2d" || op == "conv2d_backward_input" || op == "conv2d_backward_weight"; }
bool is_pooling(std::string_view op) { return op == "max_pool2d" || op == "avg_pool2d"; }
bool is_batch_norm(std::string_view op) { return op == "batch_norm" || op == "batch_norm_inference"; }

// ---- printing -------------------------------------------------------------------------------

std::string letters(const Shape& shape, std::string_view names) {
    std::string text;
    for (int i = 0; i < shape.rank(); ++i) text += fmt::format("{}{}", names[static_cast<std::size_t>(i)], shape[i]);
    return text;
}

/// "stride2", or "stride2x1"; nothing when every entry is `usual`.
std::string sizes(std::string_view name, const std::vector<std::int64_t>& values, std::int64_t usual) {
    bool is_usual = true, is_equal = true;
    for (const std::int64_t v : values) is_usual &= v == usual, is_equal &= v == values[0];
    if (is_usual) return {};
    if (is_equal) return fmt::format(" {}{}", name, values[0]);
    return fmt::format(" {}{}", name, fmt::join(values, "x"));
}

std::string spell(const Attr& value) {
    return std::visit(
        [](const auto& v) -> std::string {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<T, bool>) return v ? "true" : "false";
            else if constexpr (std::is_same_v<T, double>) return v == std::floor(v) && std::abs(v) < 1e15 ? fmt::format("{:.1f}", v) : fmt::format("{}", v);
            else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) return fmt::format("[{}]", fmt::join(v, ","));
            else if constexpr (std::is_same_v<T, std::vector<double>>) {
                std::string text;
                for (const double d : v) text += (text.empty() ? "" : ",") + spell(Attr(d));
                return "[" + text + "]";
            } else if constexpr (std::is_same_v<T, Tensor>) return "tensor" + v.shape().str();
            else return fmt::format("{}", v);
        },
        value);
}

std::string generic(const Node& node) {
    std::string text = node.op->name;
    for (const Value& input : node.inputs) {
        if (input.is_empty()) {
            text += " -";
            continue;
        }
        text += fmt::format(" {}[{}]", input.dtype() == DType::f32 ? "" : name_of(input.dtype()), fmt::join(input.shape().dims(), ","));
    }
    for (const auto& [name, value] : node.attrs.items()) text += fmt::format(" {}={}", name, spell(value));
    return text;
}

/// The attributes that the short spelling has no word for.
std::string rest(const Attrs& attrs, std::initializer_list<std::string_view> spelled) {
    std::string text;
    for (const auto& [name, value] : attrs.items()) {
        if (std::find(spelled.begin(), spelled.end(), name) != spelled.end()) continue;
        const bool* flag = std::get_if<bool>(&value);
        if (flag && !*flag) continue;
        text += flag ? " " + name : fmt::format(" {}={}", name, spell(value));
    }
    return text;
}

std::string short_spelling(const Node& node) {
    const std::string& op = node.op->name;
    const auto input = [&](std::size_t i) { return node.inputs[i].shape(); };
    const auto has = [&](std::size_t i) { return node.inputs.size() > i && !node.inputs[i].is_empty(); };
    const std::string activation = node.attrs.text("activation").empty() ? "" : " " + node.attrs.text("activation");
    if (is_convolution(op) && !(op == "conv2d" && node.inputs.size() > 4)) {
        const bool backward_input = op == "conv2d_backward_input", backward_weight = op == "conv2d_backward_weight";
        const Shape x = backward_input ? node.outputs[0].shape : input(0), w = backward_weight ? node.outputs[0].shape : input(1);
        std::string text = fmt::format("{} {} k{}r{}s{}", op, letters(x, "nchw"), w[0], w[2], w[3]);
        text += sizes("stride", node.attrs.integers("stride"), 1) + sizes("pad", node.attrs.integers("pad"), 0) + sizes("dilation", node.attrs.integers("dilation"), 1);
        if (const auto groups = node.attrs.integer("groups"); groups != 1) text += fmt::format(" groups{}", groups);
        if (op == "conv2d" && has(2)) text += " bias";
        if (op == "conv2d" && has(3)) text += " add";
        if (backward_input && has(3)) text += " bias";
        if (backward_weight && node.attrs.flag("bias")) text += " bias";
        return text + rest(node.attrs, {"stride", "pad", "dilation", "groups", "activation", "output_pad", "bias", "weight_scale"}) + activation;
    }
    if (op == "linear" && node.inputs.size() <= 3) {
        const Shape x = input(0);
        return fmt::format("linear n{}c{} k{}{}{}", x.elements(0, x.rank() - 1), x[-1], input(1)[0], has(2) ? " bias" : "", rest(node.attrs, {"activation", "weight_scale"})) + activation;
    }
    if (is_pooling(op) && node.attrs.has("kernel")) {
        const auto kernel = node.attrs.integers("kernel");
        std::string text = fmt::format("{} {} r{}s{}", op, letters(input(0), "nchw"), kernel[0], kernel[1]);
        text += sizes("stride", node.attrs.integers("stride"), 1) + sizes("pad", node.attrs.integers("pad"), 0);
        if (node.attrs.has("dilation")) text += sizes("dilation", node.attrs.integers("dilation"), 1);
        return text + rest(node.attrs, {"kernel", "stride", "pad", "dilation"});
    }
    if (is_batch_norm(op) && input(0).rank() <= 4)
        return fmt::format("{} {}{}{}", op, letters(input(0), "nchw"), has(5) ? " add" : "", rest(node.attrs, {"activation", "eps", "momentum"})) + activation;
    if (op == "relu" && input(0).rank() <= 4 && input(0).rank() >= 1) return fmt::format("relu {}{}", letters(input(0), "nchw"), rest(node.attrs, {}));
    return generic(node);
}

// ---- reading --------------------------------------------------------------------------------

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t begin = text.find_first_not_of(" \t", at);
            if (begin == std::string_view::npos) break;
            const std::size_t end = std::min(text.find_first_of(" \t", begin), text.size());
            words_.push_back(text.substr(begin, end - begin));
            at = end;
        }
        require<ArgumentError>(!words_.empty(), "a problem begins with an op, for instance 'conv2d n8c64h56w56 k128r3s3 stride2 pad1 f32'");
        op_ = std::string(words_[0]);
        words_.erase(words_.begin());
        (void)OpRegistry::instance().at(op_);  // throws, naming the nearest
        if (!words_.empty() && (words_.back() == "f32" || words_.back() == "f64" || words_.back() == "bf16")) {
            precision_ = precision_named(words_.back());
            words_.pop_back();
        }
    }

    Problem read() {
        Problem problem;
        problem.precision = precision_;
        graph_ = &problem.graph;
        std::vector<Value> inputs;
        if (!words_.empty() && is_lettered(words_[0])) inputs = lettered();
        else inputs = plain();
        Attrs attrs = attrs_;
        const Value y = graph_->add(op_, std::move(inputs), std::move(attrs), op_);
        for (int i = 0; i < static_cast<int>(y.node().outputs.size()); ++i) graph_->output(i == 0 ? "y" : fmt::format("y{}", i), y.sibling(i));
        return problem;
    }

private:
    template <class... Args> [[noreturn]] void wrong(fmt::format_string<Args...> text, Args&&... args) const {
        fail<ArgumentError>("problem '{}': {}", text_, fmt::format(text, std::forward<Args>(args)...));
    }
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    static bool is_lettered(std::string_view word) { return word.size() >= 2 && word[0] == 'n' && is_digit(word[1]); }

    std::int64_t integer(std::string_view digits, std::string_view word) const {
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc() || end != digits.data() + digits.size()) wrong("'{}' should hold a whole number, found '{}'", word, digits);
        return value;
    }
    /// "k128r3s3" for the letters "krs".
    std::vector<std::int64_t> counts(std::string_view word, std::string_view names) const {
        std::vector<std::int64_t> values;
        std::size_t at = 0;
        for (const char name : names) {
            if (at >= word.size() || word[at] != name) wrong("'{}' should give {} in this order, for instance '{}'", word, fmt::join(names, ", "), example(names));
            std::size_t end = at + 1;
            while (end < word.size() && is_digit(word[end])) ++end;
            values.push_back(integer(word.substr(at + 1, end - at - 1), word));
            if (values.back() < 1) wrong("'{}': {} must be at least 1", word, name);
            at = end;
        }
        if (at != word.size()) wrong("'{}' goes on after {}", word, fmt::join(names, ", "));
        return values;
    }
    static std::string example(std::string_view names) {
        std::string text;
        for (const char name : names) text += fmt::format("{}{}", name, name == 'n' || name == 'r' || name == 's' ? 3 : 16);
        return text;
    }
    Shape image_shape() const {
        int rank = 0;
        for (const char c : words_[0]) rank += c >= 'a' && c <= 'z';
        constexpr std::string_view names = "nchw";
        if (rank > 4) wrong("'{}' has more letters than n, c, h, w", words_[0]);
        return Shape(std::span<const std::int64_t>(counts(words_[0], names.substr(0, static_cast<std::size_t>(rank)))));
    }
    std::vector<std::int64_t> sizes_of(std::string_view word, std::string_view name, std::size_t count) const {
        std::vector<std::int64_t> values;
        std::string_view left = word.substr(name.size());
        while (true) {
            const std::size_t x = left.find('x');
            values.push_back(integer(left.substr(0, x), word));
            if (x == std::string_view::npos) break;
            left = left.substr(x + 1);
        }
        if (values.size() == 1) values.resize(count, values[0]);
        if (values.size() == 2 && count == 4) values = {values[0], values[0], values[1], values[1]};
        if (values.size() != count) wrong("'{}' should hold 1 or {} numbers", word, count);
        return values;
    }

    /// Reads stride, pad, dilation, groups and words of fusion; returns whether "bias" and "add" stood there.
    void options(std::size_t from, bool& bias, bool& add) {
        for (std::size_t i = from; i < words_.size(); ++i) {
            const std::string_view word = words_[i];
            const bool has_number = is_digit(word.back());
            if (word == "bias") bias = true;
            else if (word == "add") add = true;
            else if (is_activation(word)) attrs_.set("activation", std::string(word));
            else if (starts(word, "stride") && has_number) attrs_.set("stride", sizes_of(word, "stride", 2));
            else if (starts(word, "pad") && has_number) attrs_.set("pad", sizes_of(word, "pad", 4));
            else if (starts(word, "dilation") && has_number) attrs_.set("dilation", sizes_of(word, "dilation", 2));
            else if (starts(word, "groups") && has_number) attrs_.set("groups", integer(word.substr(6), word));
            else attribute(word);
        }
    }

    std::vector<Value> lettered() {
        const Shape x = image_shape();
        bool bias = false, add = false;
        const auto second = [&](std::string_view names) {
            if (words_.size() < 2) wrong("after '{}' comes '{}'", words_[0], example(names));
            return counts(words_[1], names);
        };
        if (is_convolution(op_)) {
            if (x.rank() != 4) wrong("'{}' should give n, c, h, w", words_[0]);
            const auto krs = second("krs");
            attrs_ = {{"stride", std::vector<std::int64_t>{1, 1}}, {"pad", std::vector<std::int64_t>(4, 0)}, {"dilation", std::vector<std::int64_t>{1, 1}}, {"groups", std::int64_t{1}}};
            options(2, bias, add);
            if (op_ == "conv2d_backward_weight" && bias) attrs_.set("bias", true);  // it gives the gradient of the bias too
            return convolution(x, krs, bias, add);
        }
        if (op_ == "linear") {
            if (x.rank() != 2) wrong("'{}' should give n and c", words_[0]);
            const std::int64_t k = second("k")[0];
            options(2, bias, add);
            return {graph_->input("x", x), graph_->parameter("weight", {k, x[1]}, small()), bias ? graph_->parameter("bias", {k}, small()) : Value{}};
        }
        if (is_pooling(op_)) {
            if (x.rank() != 4) wrong("'{}' should give n, c, h, w", words_[0]);
            const auto kernel = second("rs");
            attrs_ = {{"kernel", kernel}, {"stride", std::vector<std::int64_t>{1, 1}}, {"pad", std::vector<std::int64_t>(4, 0)}};
            if (op_ == "max_pool2d") attrs_.set("dilation", std::vector<std::int64_t>{1, 1});
            options(2, bias, add);
            return {graph_->input("x", x)};
        }
        if (is_batch_norm(op_)) {
            attrs_ = {{"eps", 1e-5}};
            if (op_ == "batch_norm") attrs_.set("momentum", 0.1);
            options(1, bias, add);
            const Shape channels{x[1]};
            std::vector<Value> inputs{graph_->input("x", x), graph_->parameter("weight", channels, Init::ones()), graph_->parameter("bias", channels),
                                      graph_->parameter("running_mean", channels, Init::zeros(), false), graph_->parameter("running_var", channels, Init::ones(), false)};
            if (add) inputs.push_back(graph_->input("residual", x));
            return inputs;
        }
        options(1, bias, add);
        return {graph_->input("x", x)};
    }

    std::vector<Value> convolution(const Shape& x, const std::vector<std::int64_t>& krs, bool bias, bool add) {
        const std::int64_t groups = attrs_.integer("groups"), k = krs[0];
        if (groups < 1 || x[1] % groups != 0) wrong("{} channels do not divide into {} groups", x[1], groups);
        const Shape w{k, x[1] / groups, krs[1], krs[2]};
        // The shape of the result is the forward rule's: ask it.
        Graph probe;
        const Attrs geometry{{"stride", attrs_.integers("stride")}, {"pad", attrs_.integers("pad")}, {"dilation", attrs_.integers("dilation")}, {"groups", groups}};
        const Shape y = probe.add("conv2d", {probe.input("x", x), probe.input("w", w), Value{}}, geometry).shape();
        if (op_ == "conv2d_backward_input") {
            std::vector<Value> inputs{graph_->input("dy", y), graph_->parameter("weight", w, small()), graph_->input("like", x)};
            if (bias) inputs.push_back(graph_->parameter("bias", {x[1]}, small()));
            return inputs;
        }
        if (op_ == "conv2d_backward_weight") return {graph_->input("x", x), graph_->input("dy", y), graph_->parameter("weight", w, small())};
        std::vector<Value> inputs{graph_->input("x", x), graph_->parameter("weight", w, small()), bias ? graph_->parameter("bias", {k}, small()) : Value{}};
        if (add) inputs.push_back(graph_->input("residual", y));
        return inputs;
    }
    static Init small() { return Init::uniform(-0.1, 0.1); }

    /// "[128,10] i32[128] axes=[1] keep=true"
    std::vector<Value> plain() {
        std::vector<Value> inputs;
        for (const std::string_view word : words_) {
            const std::size_t bracket = word.find('[');
            if (word == "-") {
                inputs.emplace_back();
            } else if (bracket != std::string_view::npos && word.find('=') == std::string_view::npos) {
                if (word.back() != ']') wrong("'{}' should end with ']'", word);
                DType dtype = DType::f32;
                if (bracket > 0) {
                    const std::string_view name = word.substr(0, bracket);
                    bool is_known = false;
                    for (const DType known : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8})
                        if (name == name_of(known)) dtype = known, is_known = true;
                    if (!is_known) wrong("'{}' is no element type (f32, f64, i32, i64, u8)", name);
                }
                const auto dims = integers_in(word.substr(bracket), word);
                if (dims.size() > Shape::max_rank) wrong("'{}' has more than {} dimensions", word, Shape::max_rank);
                for (const std::int64_t dim : dims)
                    if (dim < 0) wrong("'{}' has a negative dimension", word);
                inputs.push_back(graph_->input(fmt::format("x{}", inputs.size()), Shape(std::span<const std::int64_t>(dims)), dtype));
            } else {
                attribute(word);
            }
        }
        if (inputs.empty()) wrong("no input: after the op comes a shape, for instance 'n8c64h56w56' or '[8,64]'");
        return inputs;
    }

    std::vector<std::int64_t> integers_in(std::string_view list, std::string_view word) const {
        std::vector<std::int64_t> values;
        list = list.substr(1, list.size() - 2);
        while (!list.empty()) {
            const std::size_t comma = std::min(list.find(','), list.size());
            values.push_back(integer(list.substr(0, comma), word));
            list = list.substr(std::min(comma + 1, list.size()));
        }
        return values;
    }
    double real(std::string_view text, std::string_view word) const {
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size()) wrong("'{}' should hold a number, found '{}'", word, text);
        return value;
    }

    void attribute(std::string_view word) {
        const std::size_t equals = word.find('=');
        const std::string name(word.substr(0, equals));
        for (const char c : name)
            if (!(c == '_' || (c >= 'a' && c <= 'z') || is_digit(c))) wrong("'{}' is not understood", word);
        if (equals == std::string_view::npos) {
            if (is_digit(name.back())) wrong("'{}' is not understood", word);
            attrs_.set(name, true);
            return;
        }
        const std::string_view value = word.substr(equals + 1);
        if (value.empty()) attrs_.set(name, std::string());
        else if (value == "true" || value == "false") attrs_.set(name, value == "true");
        else if (value[0] == '[' && value.back() == ']') {
            if (value.find('.') == std::string_view::npos) {
                attrs_.set(name, integers_in(value, word));
                return;
            }
            std::vector<double> reals;
            for (std::string_view list = value.substr(1, value.size() - 2); !list.empty();) {
                const std::size_t comma = std::min(list.find(','), list.size());
                reals.push_back(real(list.substr(0, comma), word));
                list = list.substr(std::min(comma + 1, list.size()));
            }
            attrs_.set(name, reals);
        } else if (is_digit(value[0]) || value[0] == '-') {
            if (value.find_first_of(".e") == std::string_view::npos) attrs_.set(name, integer(value, word));
            else attrs_.set(name, real(value, word));
        } else attrs_.set(name, std::string(value));
    }

    std::string_view text_;
    std::vector<std::string_view> words_;
    std::string op_;
    Precision precision_ = Precision::f32;
    Attrs attrs_;
    Graph* graph_ = nullptr;
};

}  // namespace

std::string problem_of(const Node& node, Precision precision) { return short_spelling(node) + " " + std::string(name_of(precision)); }

Problem parse_problem(std::string_view text) { return Parser(text).read(); }

}  // namespace fovea
