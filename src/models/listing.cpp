// A network from a listing: dlib's template text or PyTorch's nn.Sequential text.
#include "models/listing.h"

#include <algorithm>
#include <cctype>

#include "core/file.h"

namespace fovea {

namespace listing {

std::vector<Token> tokens_of(std::string_view text, ListingKind kind) {
    require<FormatError>(text.size() <= std::size_t{1} << 20, "{} bytes are no listing: at most 1 MiB is read", text.size());
    const bool is_dlib = kind == ListingKind::dlib;
    std::vector<Token> tokens;
    int line = 1;
    const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i];
        const auto rest = text.substr(i);
        const auto take = [&](Token::Kind token, std::size_t count) {
            tokens.push_back({token, std::string(text.substr(i, count)), line});
            i += count;
        };
        if (c == '\n') {
            ++line, ++i;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            ++i;
        } else if (c == '#' || (is_dlib && rest.starts_with("//"))) {
            i = std::min(text.find('\n', i), text.size());
        } else if (is_dlib && rest.starts_with("/*")) {
            const std::size_t end = text.find("*/", i);
            require<FormatError>(end != std::string_view::npos, "line {}: the comment has no end", line);
            line += static_cast<int>(std::count(text.begin() + static_cast<std::ptrdiff_t>(i), text.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
            i = end + 2;
        } else if (std::isdigit(static_cast<unsigned char>(c)) || (c == '.' && rest.size() > 1 && std::isdigit(static_cast<unsigned char>(rest[1])))) {
            std::size_t n = 1;
            while (n < rest.size() && (is_word(rest[n]) || rest[n] == '.' || ((rest[n] == '-' || rest[n] == '+') && (rest[n - 1] == 'e' || rest[n - 1] == 'E')))) ++n;
            take(Token::Kind::number, n);
        } else if (is_word(c)) {
            std::size_t n = 1;
            while (n < rest.size() && (is_word(rest[n]) || (!is_dlib && rest[n] == '.' && n + 1 < rest.size() && is_word(rest[n + 1])))) ++n;
            take(Token::Kind::word, n);
        } else if (!is_dlib && (c == '\'' || c == '"')) {
            const std::size_t end = text.find(c, i + 1);
            require<FormatError>(end != std::string_view::npos && text.substr(i, end - i).find('\n') == std::string_view::npos, "line {}: a text in quotes has no end", line);
            tokens.push_back({Token::Kind::text, std::string(text.substr(i + 1, end - i - 1)), line});
            i = end + 1;
        } else if (rest.starts_with("//") || rest.starts_with("::")) {
            take(Token::Kind::symbol, 2);
        } else {
            static constexpr std::string_view symbols = "<>(),;=*+-/[]:.&{}";
            require<FormatError>(symbols.find(c) != std::string_view::npos, "line {}: a listing has no {}", line,
                                 std::isprint(static_cast<unsigned char>(c)) ? fmt::format("'{}'", c) : fmt::format("byte 0x{:02x}", static_cast<unsigned char>(c)));
            take(Token::Kind::symbol, 1);
        }
    }
    tokens.push_back({Token::Kind::end, "the end", line});
    return tokens;
}

void Reader::expect(std::string_view symbol, std::string_view after) {
    require<FormatError>(peek().is(symbol), "line {}: '{}' is expected after {}, got '{}'", peek().line, symbol, after, peek().text);
    next();
}

std::string size_text(const Shape& shape) {
    std::vector<std::string> sizes;
    for (int i = 1; i < shape.rank(); ++i) sizes.push_back(std::to_string(shape[i]));
    return fmt::format("{}", fmt::join(sizes, " x "));
}

void Network::note(std::string text) {
    if (std::ranges::find(notes, text) == notes.end()) notes.push_back(std::move(text));
}

std::string Network::sizes() const {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < steps.size(); ++i)
        if (i == 0 || steps[i].shape != steps[i - 1].shape) texts.push_back(fmt::format("line {} {} {}", steps[i].line, steps[i].label.substr(0, steps[i].label.find_first_of("<(")), size_text(steps[i].shape)));
    constexpr std::size_t most = 12;
    if (texts.size() > most) texts.erase(texts.begin(), texts.end() - most);
    return fmt::format("{}", fmt::join(texts, ", "));
}

void Network::refuse(const Step& step, std::string_view why) const {
    if (steps.empty()) fail<FormatError>("line {}: {}: {}", step.line, step.label, why);
    fail<FormatError>("line {}: {}: {}; sizes so far: {}", step.line, step.label, why, sizes());
}

void Network::check_size(const Step& step) const {
    std::int64_t volume = 1;
    for (int i = 1; i < step.shape.rank(); ++i)
        if (step.shape[i] <= 0 || __builtin_mul_overflow(volume, step.shape[i], &volume) || volume > std::int64_t{1} << 40) refuse(step, fmt::format("{} is no size of a map", size_text(step.shape)));
}

}  // namespace listing

namespace {

ListingKind kind_of(std::string_view text) {
    // PyTorch's modules are called, dlib's layers have template arguments.
    const std::size_t angle = text.find('<'), parenthesis = text.find('(');
    if (text.find("nn.") != std::string_view::npos || text.find("Sequential") != std::string_view::npos) return ListingKind::torch;
    require<FormatError>(angle != std::string_view::npos || parenthesis != std::string_view::npos, "neither dlib's layers, as in fc<10, ...>, nor PyTorch's modules, as in nn.Linear(84, 10), are in it");
    return angle < parenthesis ? ListingKind::dlib : ListingKind::torch;
}

struct Sizes {
    std::int64_t height, width;
};

}  // namespace

Listing read_listing(std::string_view text, std::string_view name, const ListingOptions& options) {
    try {
        Listing result;
        result.kind = kind_of(text);
        const bool is_dlib = result.kind == ListingKind::dlib;
        const listing::Stated stated = is_dlib ? listing::stated_by_dlib(text) : listing::stated_by_torch(text);
        for (const std::int64_t size : {options.channels, options.height, options.width, options.usual_height, options.usual_width})
            require<ArgumentError>(size >= 0 && size <= 1 << 16, "an input size is 1 to {}, got {}", 1 << 16, size);
        const std::int64_t channels = options.channels ? options.channels : stated.channels ? stated.channels : 3;
        std::vector<Sizes> candidates;
        if (options.height && options.width) candidates = {{options.height, options.width}};
        else if (stated.height && stated.width) candidates = {{stated.height, stated.width}};
        else if (channels == 1) candidates = {{28, 28}, {32, 32}, {224, 224}};
        else candidates = {{224, 224}, {227, 227}, {32, 32}};
        const bool is_stated = candidates.size() == 1;
        if (!is_stated && options.usual_height > 0 && options.usual_width > 0) candidates.insert(candidates.begin(), {options.usual_height, options.usual_width});
        std::string refusal;
        for (const auto& [height, width] : candidates) {
            const Shape input{dynamic, channels, height, width};
            try {
                listing::Network network = is_dlib ? listing::read_dlib(text, input, options.padded) : listing::read_torch(text, input);
                listing::compare_with_known(network);
                result.graph = std::move(network.graph);
                result.notes = std::move(network.notes);
                if (!is_stated) result.notes.insert(result.notes.begin(), fmt::format("the listing states no input size: {} x {} x {} is assumed", channels, height, width));
                return result;
            } catch (const FormatError& error) {
                if (refusal.empty()) refusal = fmt::format("{} (input {} x {} x {})", error.what(), channels, height, width);
            }
        }
        fail<FormatError>("{}", refusal);
    } catch (const FormatError& error) {
        throw FormatError(fmt::format("listing '{}': {}", name, error.what()));
    }
}

Listing load_listing(const std::string& path, const ListingOptions& options) {
    const std::vector<std::byte> bytes = read_file(path);
    return read_listing({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path, options);
}

}  // namespace fovea
