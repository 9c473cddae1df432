// Reading dlib's template text, and what its input layer states.
#include "models/listing_dlib_text.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace fovea::listing {

TypePtr make_type(std::string name, std::vector<TypePtr> args, int line) {
    int depth = 1;
    for (const TypePtr& arg : args) depth = std::max(depth, arg->depth + 1);
    require<FormatError>(depth <= 4 * deepest, "line {}: aliases nest too deeply", line);
    return std::make_shared<const Type>(Type{std::move(name), std::move(args), line, depth});
}

bool is_number(const std::string& text) { return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }); }

namespace {

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

}  // namespace

Document document_of(std::string_view text) {
    Document document = Parser(text).parse();
    if (document.bare.size() > 1) refuse_pieces(document);
    if (document.bare.empty()) {
        require<FormatError>(!document.last_alias.empty(), "no network is in it: only templates of blocks, none is used");
        document.bare.push_back(document.aliases.at(document.last_alias).body);
    }
    return document;
}

namespace {

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

}  // namespace fovea::listing
