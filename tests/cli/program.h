// The command line as a user meets it: the program itself is run; exit codes, messages and JSON are read.
#pragma once

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>

#include "fovea/image.h"
#include "places.h"

namespace fovea::test {

namespace fs = std::filesystem;
using nlohmann::json;

inline const std::string program = build_path("apps/cli/fovea");

struct Result {
    int code = -1;
    std::string out, err;
};

inline std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/// A folder of its own for each test, removed afterwards; with two classes of 28 x 28 pictures: a bar upright or lying.
class Cli : public testing::Test {
protected:
    Cli() : dir_(fs::temp_directory_path() / ("fovea_cli_" + std::to_string(getpid()))) {
        fs::remove_all(dir_);
        fs::create_directories(dir_);
    }
    ~Cli() override { fs::remove_all(dir_); }

    pid_t start(const std::string& arguments) const {
        const std::string command = "cd " + dir_.string() + " && exec " + program + " " + arguments + " > out.txt 2> err.txt";
        const pid_t child = fork();
        if (child == 0) {
            execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
            _exit(127);
        }
        return child;
    }
    Result finish(pid_t child) const {
        int status = 0;
        waitpid(child, &status, 0);
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read(dir_ / "out.txt"), read(dir_ / "err.txt")};
    }
    Result run(const std::string& arguments) const { return finish(start(arguments)); }

    void make_pictures(int per_class = 24) const {
        for (const char* split : {"train", "test"})
            for (const char* name : {"lying", "upright"}) {
                const fs::path folder = dir_ / "bars" / split / name;
                fs::create_directories(folder);
                for (int i = 0; i < per_class; ++i) {
                    Image image(28, 28, 1, static_cast<std::uint8_t>(10 + i));
                    const int at = 4 + (i * 5) % 20;
                    if (name[0] == 'l') fill_rect(image, 2, at, 24, 3, {250, 250, 250});
                    else fill_rect(image, at, 2, 3, 24, {250, 250, 250});
                    write_png(folder / (std::to_string(i) + ".png"), image);
                }
            }
    }
    static constexpr const char* train_bars = "train lenet5 --data folder:bars --epochs 6 --batch 8 --lr 0.02 --threads 1 --seed 3 --out run";

    fs::path dir_;
};

}  // namespace fovea::test
