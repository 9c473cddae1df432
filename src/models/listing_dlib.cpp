// dlib's template text: fc<10, relu<con<16,5,5,1,1, input<matrix<unsigned char>>. Layers hold the one before them; aliases are templates
// (template <typename SUBNET> using block = ...) and are expanded as the compiler would. Brackets may be missing after the input layer,
// as decks print it, and one too many at the end of an alias is read all the same: both are said.
#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "models/listing.h"

namespace fovea::listing {

namespace {

constexpr int deepest = 600;
constexpr std::size_t most_expansions = 20000;

struct Type;
using TypePtr = std::shared_ptr<const Type>;
struct Type {
    std::string name;  ///< "" where nothing stands between two commas or before a bracket
    std::vector<TypePtr> args;
    int line = 0, depth = 1;
    Value value{};     ///< an argument that has been built already
};

TypePtr make_type(std::string name, std::vector<TypePtr> args, int line) {
    int depth = 1;
    for (const TypePtr& arg : args) depth = std::max(depth, arg->depth + 1);
    require<FormatError>(depth <= 4 * deepest, "line {}: aliases nest too deeply", line);
    return std::make_shared<const Type>(Type{std::move(name), std::move(args), line, depth});
}

struct Alias {
    std::vector<std::string> parameters;
    TypePtr body;
    int line = 0;
};

struct Document {
    std::map<std::string, Alias, std::less<>> aliases;
    std::vector<TypePtr> bare;  ///< types that are no alias's body
    std::string last_alias;     ///< the last one without parameters
    std::vector<std::string> notes;
    int unclosed = 0;           ///< statements that lack brackets
};

bool is_number(const std::string& text) { return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }); }

class Parser {
public:
    explicit Parser(std::string_view text) : reader_(tokens_of(text, ListingKind::dlib)) {}

    Document parse() {
        while (!reader_.is_at_end()) {
            if (reader_.skip(";") || reader_.skip("}")) continue;
            if (reader_.peek().is_word("template")) parse_template();
            else if (reader_.peek().is_word("using") || reader_.peek().is_word("typedef")) parse_alias({});
            else parse_bare();
        }
        return std::move(document_);
    }

private:
    void parse_template() {
        const int line = reader_.next().line;
        reader_.expect("<", "template");
        std::vector<std::string> parameters;
        std::string last;
        for (int depth = 1; depth > 0;) {
            const Token token = reader_.next();
            require<FormatError>(token.kind != Token::Kind::end, "line {}: the template's parameters have no end", line);
            if (token.is("<")) ++depth;
            else if (token.is(">")) --depth;
            else if (token.kind == Token::Kind::word) last = token.text;
            if (((token.is(",") && depth == 1) || depth == 0) && !last.empty()) parameters.push_back(std::exchange(last, ""));
        }
        require<FormatError>(reader_.peek().is_word("using"), "line {}: 'using' is expected after the template's parameters, got '{}'", reader_.peek().line, reader_.peek().text);
        parse_alias(std::move(parameters));
    }

    void parse_alias(std::vector<std::string> parameters) {
        const int line = reader_.next().line;
        if (reader_.peek().is_word("namespace")) {
            while (!reader_.is_at_end() && !reader_.peek().is(";")) reader_.next();
            return;
        }
        const Token name = reader_.next();
        require<FormatError>(name.kind == Token::Kind::word, "line {}: a name is expected after 'using', got '{}'", name.line, name.text);
        reader_.expect("=", "using " + name.text);
        TypePtr body = parse_type(0);
        close_statement(name.text, line);
        if (parameters.empty()) document_.last_alias = name.text;
        document_.aliases[name.text] = {std::move(parameters), std::move(body), line};
    }

    void parse_bare() {
        const int line = reader_.peek().line;
        require<FormatError>(reader_.peek().kind == Token::Kind::word, "line {}: a layer is expected, got '{}'", line, reader_.peek().text);
        TypePtr type = parse_type(0);
        while (reader_.peek().kind == Token::Kind::word && reader_.peek(1).is(";")) reader_.next();  // the variable: net_type net;
        close_statement("", line);
        document_.bare.push_back(std::move(type));
    }

    void close_statement(const std::string& name, int line) {
        int extra = 0;
        while (reader_.skip(">")) ++extra;
        const std::string who = name.empty() ? "the listing" : fmt::format("'{}'", name);
        const auto brackets = [](int n) { return fmt::format("{} closing bracket{}", n, n == 1 ? "" : "s"); };
        if (extra > 0) document_.notes.push_back(fmt::format("line {}: {} has {} too many", line, who, brackets(extra)));
        if (missing_ > 0 && !(reader_.is_at_end() && ends_at_input_)) document_.notes.push_back(fmt::format("line {}: {} lacks {}", line, who, brackets(missing_)));
        document_.unclosed += missing_ > 0;
        missing_ = 0;
        reader_.skip(";");
    }

    TypePtr parse_type(int depth) {
        require<FormatError>(depth < deepest, "line {}: more than {} layers inside each other", reader_.peek().line, deepest);
        const int line = reader_.peek().line;
        std::string name;
        if (reader_.peek().kind == Token::Kind::word || reader_.peek().kind == Token::Kind::number) name = reader_.next().text;
        while ((name == "unsigned" || name == "signed" || name == "long") && reader_.peek().kind == Token::Kind::word) name += " " + reader_.next().text;
        while (reader_.skip("::")) name = reader_.next().text;  // dlib::relu
        ends_at_input_ = name.starts_with("input");
        if (!reader_.peek().is("<")) {
            if (name.empty() && !(reader_.peek().is(">") || reader_.peek().is(",")))
                fail<FormatError>("line {}: a layer is expected, got '{}'", reader_.peek().line, reader_.peek().text);
            return make_type(std::move(name), {}, line);
        }
        require<FormatError>(!name.empty(), "line {}: a layer's name is expected before '<'", line);
        reader_.next();
        std::vector<TypePtr> args;
        if (!reader_.peek().is(">")) {
            do {
                if (reader_.is_at_end()) break;
                args.push_back(parse_type(depth + 1));
            } while (reader_.skip(","));
        }
        if (!reader_.skip(">")) {
            const bool is_next_piece = reader_.peek().kind == Token::Kind::word && reader_.peek().line > reader_.last_line();
            require<FormatError>(reader_.is_at_end() || reader_.peek().is(";") || is_next_piece, "line {}: '>' or ',' is expected inside {}, got '{}'", reader_.peek().line, name, reader_.peek().text);
            ++missing_;
        }
        ends_at_input_ |= name.starts_with("input");
        return make_type(std::move(name), std::move(args), line);
    }

    Reader reader_;
    Document document_;
    int missing_ = 0;
    bool ends_at_input_ = false;
};

/// How a listing of several layers that none holds the next went wrong.
[[noreturn]] void refuse_pieces(const Document& document) {
    std::vector<std::string> reasons;
    const auto& pieces = document.bare;
    if (pieces.front()->name.starts_with("input"))
        reasons.push_back(fmt::format("line {}: the listing begins with its input layer and runs downwards; dlib's runs from the output to the input, which stands innermost", pieces.front()->line));
    int empty = 0, first_empty = 0, classifier = 0;
    std::string left;
    const std::function<void(const TypePtr&)> visit = [&](const TypePtr& type) {
        if (type->name.empty()) {
            if (empty++ == 0) first_empty = type->line;
            return;
        }
        if (type->name == "con" && classifier > 0 && left.empty())
            left = fmt::format("line {}: a convolution of {} filters stands behind the last fully connected layer (line {}): another network's layer was left in", type->line,
                               type->args.empty() ? "?" : type->args[0]->name, classifier);
        for (const TypePtr& arg : type->args) visit(arg);
    };
    for (const TypePtr& piece : pieces) {
        visit(piece);
        for (TypePtr at = piece; at; at = at->args.empty() ? nullptr : at->args.back())
            if (at->name == "fc") classifier = at->line;
    }
    if (empty > 0) reasons.push_back(fmt::format("line {}: the brackets close at once, there is no layer inside (in {} places)", first_empty, empty));
    if (document.unclosed > 0) reasons.push_back(fmt::format("{} line{} without its closing brackets", document.unclosed, document.unclosed == 1 ? "" : "s"));
    if (!left.empty()) reasons.push_back(left);
    reasons.push_back(fmt::format("{} pieces stand side by side, none holds the next", pieces.size()));
    fail<FormatError>("{}", fmt::join(reasons, "; "));
}

Document document_of(std::string_view text) {
    Document document = Parser(text).parse();
    if (document.bare.size() > 1) refuse_pieces(document);
    if (document.bare.empty()) {
        require<FormatError>(!document.last_alias.empty(), "no network is in it: only templates of blocks, none is used");
        document.bare.push_back(document.aliases.at(document.last_alias).body);
    }
    return document;
}

/// The input layer of a type, aliases looked into.
TypePtr find_input(const Document& document, const TypePtr& type, std::size_t& visits, int depth = 0) {
    if (depth > deepest || ++visits > most_expansions) return nullptr;
    if (type->name.starts_with("input")) return type;
    for (auto arg = type->args.rbegin(); arg != type->args.rend(); ++arg)
        if (TypePtr found = find_input(document, *arg, visits, depth + 1)) return found;
    const auto alias = document.aliases.find(type->name);
    return alias != document.aliases.end() && alias->second.parameters.empty() ? find_input(document, alias->second.body, visits, depth + 1) : nullptr;
}

bool mentions(const TypePtr& type, std::string_view word) {
    return type->name.find(word) != std::string::npos || std::ranges::any_of(type->args, [&](const TypePtr& arg) { return mentions(arg, word); });
}

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

Stated stated_by_dlib(std::string_view text) {
    const Document document = document_of(text);
    std::size_t visits = 0;
    const TypePtr input = find_input(document, document.bare.front(), visits);
    require<FormatError>(input != nullptr, "line {}: no input layer stands innermost, as in input<matrix<unsigned char>>", document.bare.front()->line);
    Stated stated;
    stated.channels = mentions(input, "rgb") || mentions(input, "bgr") ? 3 : 1;
    if (input->name.ends_with("sized") && !input->args.empty()) {
        const auto size = [&](const TypePtr& arg) {
            require<FormatError>(is_number(arg->name) && arg->name.size() < 6 && arg->name != "0", "line {}: {} takes its height and width, got '{}'", input->line, input->name, arg->name);
            return std::stoll(arg->name);
        };
        stated.height = size(input->args.front()), stated.width = size(input->args.size() > 1 ? input->args[1] : input->args[0]);
    }
    return stated;
}

Network read_dlib(std::string_view text, const Shape& input, bool padded) { return Builder(document_of(text), input, padded).build(); }

}  // namespace fovea::listing
